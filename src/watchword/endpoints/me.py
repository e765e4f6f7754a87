"""GET /me: who the bearer is, from the token alone."""

import msgspec
from quart import Response

from watchword.endpoints.answers import answer
from watchword.endpoints.bearer import bearer
from watchword.flows import Tools


class Me(msgspec.Struct):
    """The claims that concern the bearer."""

    sub: str
    username: str
    scope: str
    sid: str
    iat: int
    exp: int
    auth_time: int


async def me(_: Tools) -> Response:
    """Tell the bearer what the token says."""
    token = bearer()
    return answer(
        Me(
            sub=token.sub,
            username=token.username,
            scope=token.scope,
            sid=token.sid,
            iat=token.iat,
            exp=token.exp,
            auth_time=token.auth_time,
        )
    )
