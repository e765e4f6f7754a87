"""POST /login: credentials in, tokens out."""

import msgspec
from quart import Response, request

from watchword.endpoints.bodies import Text, read_body
from watchword.endpoints.tokens import token_answer
from watchword.flows import Tools
from watchword.flows.login import log_in
from watchword.networks import network_of

_MAX_USER_AGENT = 200
"""Characters that are kept: enough to know one's own devices by."""


class Credentials(msgspec.Struct):
    """What the client sends."""

    username: Text
    password: Text


async def login(tools: Tools) -> Response:
    """Exchange credentials for tokens."""
    credentials = await read_body(Credentials)
    issued = await log_in(
        tools,
        username=credentials.username,
        password=credentials.password,
        network=network_of(request.remote_addr),
        user_agent=_printable(request.headers.get("User-Agent", "")),
    )
    return token_answer(issued)


def _printable(text: str) -> str:
    """What is shown to people and stored: no control characters, which no database has to take."""
    return "".join(filter(str.isprintable, text[:_MAX_USER_AGENT]))
