"""Change one's password: the present one is proven, and every other session ends.

Who knew the old password may have logged in with it. The session that changes it has just proven it and goes on.
"""

from functools import partial

from watchword.errors import InvalidCredentials
from watchword.flows import Tools
from watchword.flows.proof import counted, proven
from watchword.model import AccessToken, Revocation
from watchword.store import sessions, users
from watchword.store.connection import Connection


async def change_password(
    tools: Tools, *, token: AccessToken, current_password: str, new_password: str, network: str
) -> None:
    """Replace a bearer's password.

    Args:
        tools: the instruments.
        token: the bearer's.
        current_password: what is to be proven: a guess like one of a login.
        new_password: what is to replace it.
        network: where the client is, as ``networks.network_of`` writes it.

    Raises:
        InvalidRequest: one of them is longer than any password may be.
        WeakPassword: the new one breaks a rule; found before anything is proven or hashed.
        TooManyAttempts: too many attempts at the account, or from the network, have failed.
        InvalidCredentials: the present one is another, or the user was disabled or changed meanwhile.
        Overloaded: too many are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    tools.password_rules.check(new_password, username=token.username)
    with counted(tools.metrics):
        find = partial(users.find_by_id, user_id=token.sub)
        proving = proven(tools, username=token.username, network=network, find=find, password=current_password)
        async with proving as proof:
            new_hash = await tools.hasher.hash(new_password)
            now = tools.clock()

            async def replace(connection: Connection) -> list[Revocation] | None:
                version = await users.replace_password(connection, proof.user, password_hash=new_hash)
                if version is None:
                    return None
                ended = await sessions.end_all(connection, user_id=proof.user.id, now=now, kept=token.sid)
                await sessions.note_password(connection, session_id=token.sid, password_version=version)
                return ended

            ended = await proof.conclude(replace)
            if ended is None:
                raise InvalidCredentials("changed meanwhile")
            tools.denials.learn(ended, now=now)
