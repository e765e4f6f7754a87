"""POST /refresh: a refresh token in, the next one and an access token out."""

import msgspec
from quart import Response

from watchword.endpoints.bodies import Text, read_body
from watchword.endpoints.tokens import token_answer
from watchword.flows import Tools
from watchword.flows.refresh import refresh as exchange


class Presented(msgspec.Struct):
    """What the client sends."""

    refresh_token: Text


async def refresh(tools: Tools) -> Response:
    """Exchange a refresh token."""
    presented = await read_body(Presented)
    return token_answer(await exchange(tools, refresh_token=presented.refresh_token))
