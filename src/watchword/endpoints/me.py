"""GET /me: who the bearer is, from the token alone."""

from typing import Annotated

import msgspec

from watchword.endpoints.answers import ScopeText, Time
from watchword.endpoints.doors import Call, Reply
from watchword.endpoints.exchange import JSON
from watchword.flows import Tools


class Me(msgspec.Struct):
    """The claims that concern the bearer."""

    sub: Annotated[str, msgspec.Meta(description="the user's id, never given to another")]
    username: str
    scope: ScopeText
    sid: Annotated[str, msgspec.Meta(description="the session")]
    iat: Time
    exp: Time
    auth_time: Time


async def me(_: Tools, call: Call) -> Reply:
    """Tell the bearer what the token says."""
    token = call.admit()
    body = Me(
        sub=token.sub,
        username=token.username,
        scope=token.scope,
        sid=token.sid,
        iat=token.iat,
        exp=token.exp,
        auth_time=token.auth_time,
    )
    return Reply(200, msgspec.json.encode(body), (JSON,))
