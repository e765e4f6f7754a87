"""POST /refresh: a refresh token in, the next one and an access token out."""

import msgspec

from watchword.endpoints.bodies import Text
from watchword.endpoints.doors import Call, Reply
from watchword.endpoints.tokens import token_answer
from watchword.flows import Tools
from watchword.flows.refresh import refresh as exchange


class RefreshRequest(msgspec.Struct):
    """What the client sends."""

    refresh_token: Text


async def refresh(tools: Tools, call: Call) -> Reply:
    """Exchange a refresh token; it takes so little time that nobody looks whether the client still waits."""
    sent = await call.read(RefreshRequest)
    asker = call.asker(tools)
    return token_answer(await exchange(tools, refresh_token=sent.refresh_token, asker=asker))
