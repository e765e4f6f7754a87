"""GET /me: who the bearer is, from the token alone."""

import msgspec
from quart import Response

from watchword.endpoints.answers import answer
from watchword.flows import Tools
from watchword.guard.decorators import token_of_this_request


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
    token = token_of_this_request()  # the proxy would look the token up for each of its claims
    if token is None:
        raise LookupError("/me is guarded, so there is a token")
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
