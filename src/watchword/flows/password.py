"""Change one's password: the present one is proven, and every other session ends.

Who knew the old password may have logged in with it. The session that changes it has just proven it and goes on.
"""

from functools import partial

from watchword.audit import Event
from watchword.errors import InvalidCredentials, InvalidToken
from watchword.flows import Tools
from watchword.flows.outcomes import Telling, counted
from watchword.flows.proof import proven
from watchword.model import AccessToken, Revocation, User
from watchword.recorder import Asker
from watchword.store import sessions, users
from watchword.store.connection import Connection
from watchword.throttle import account_named


async def change_password(
    tools: Tools, *, token: AccessToken, current_password: str, new_password: str, asker: Asker
) -> None:
    """Replace a bearer's password.

    Args:
        tools: the instruments.
        token: the bearer's.
        current_password: what is to be proven: a guess like one of a login.
        new_password: what is to replace it.
        asker: who changes it, and from which network.

    Raises:
        InvalidRequest: one of them is longer than any password may be.
        WeakPassword: the new one breaks a rule; found before anything is proven or hashed.
        TooManyAttempts: too many attempts at the account, or from the network, have failed.
        InvalidCredentials: the present one is another, or the user was disabled or changed meanwhile.
        InvalidToken: the session has ended since the token was looked at.
        Overloaded: too many are waiting for their hash.
        Unavailable: the database is away, slow or locked.
    """
    tools.password_rules.check(new_password, username=token.username)
    find = partial(_find, token=token)
    telling = Telling(asker, Event.PASSWORD_CHANGE_FAIL, user_id=token.sub, session_id=token.sid)
    with counted(tools.metrics), telling.failure():
        async with proven(
            tools, username=token.username, find=find, password=current_password, telling=telling
        ) as proof:
            with telling.departure():
                new_hash = await tools.hasher.hash(new_password, claimant=token.username, network=asker.network)
            now = tools.clock()

            async def replace(connection: Connection) -> list[Revocation] | None:
                version = await users.replace_password(connection, proof.user, password_hash=new_hash)
                if version is None:
                    return None
                await proof.acquaint(connection, version=version)
                lifetime = tools.lifetimes.access_token
                ended = await sessions.end_all(
                    connection, user_id=proof.user.id, now=now, token_lifetime=lifetime, kept=token.sid
                )
                if not await sessions.note_password(connection, session_id=token.sid, password_version=version):
                    raise InvalidToken("the session has ended")  # undoes all: a body may take seconds, and so a hash
                return ended

            def tell(ended: list[Revocation]) -> None:
                tools.denials.learn(ended, now=now)
                asker.tell(Event.PASSWORD_CHANGE, user_id=token.sub, session_id=token.sid)

            if await proof.conclude(replace, then=tell) is None:
                raise InvalidCredentials("changed meanwhile")


async def _find(connection: Connection, *, token: AccessToken) -> User | None:
    """The bearer's user, at whose account the guess is charged.

    Raises:
        InvalidToken: the user has another name. Whoever shares a secret with us could sign one for each guess.
    """
    user = await users.find_by_id(connection, user_id=token.sub)
    if user is not None and account_named(user.username) != account_named(token.username):
        raise InvalidToken("the user's name is another")
    return user
