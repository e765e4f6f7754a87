"""Log out: end this session, all others of its user, or all of them."""

from enum import Enum

from watchword.flows import Tools
from watchword.model import AccessToken, Revocation
from watchword.recorder import Asker
from watchword.store import sessions
from watchword.store.connection import Connection


class Scope(Enum):
    """What a logout ends."""

    LOCAL = "local"
    OTHERS = "others"
    GLOBAL = "global"


async def log_out(tools: Tools, *, token: AccessToken, scope: Scope, asker: Asker) -> None:
    """End sessions of a bearer. What has ended already stays so: to log out twice is no error.

    Raises:
        Unavailable: the database is away, slow or locked; perhaps nothing has ended.
    """
    now, lifetime = tools.clock(), tools.lifetimes.access_token

    async def end(connection: Connection) -> list[Revocation]:
        ended: list[Revocation] = []
        if scope is not Scope.LOCAL:
            ended += await sessions.end_all(
                connection, user_id=token.sub, now=now, token_lifetime=lifetime, kept=token.sid
            )
        if scope is not Scope.OTHERS:
            ended += await sessions.end(
                connection,
                session_id=token.sid,
                user_id=token.sub,
                now=now,
                token_lifetime=lifetime,
                presented=token,
            )
        return ended

    def tell(ended: list[Revocation]) -> None:
        tools.denials.learn(ended, now=now)
        asker.tell_ends(ended, detail=scope.value, user_id=token.sub)

    await tools.store.write(end, then=tell)
