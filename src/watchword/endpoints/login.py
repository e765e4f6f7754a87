"""POST /login: credentials in, tokens out."""

import msgspec

from watchword.endpoints.bodies import Password, Text
from watchword.endpoints.callers import network_of_caller
from watchword.endpoints.doors import Call, Reply
from watchword.endpoints.tokens import token_answer
from watchword.flows import Tools
from watchword.flows.login import log_in

_MAX_USER_AGENT = 200
"""Characters that are kept: enough to know one's own devices by."""


class Credentials(msgspec.Struct):
    """What the client sends."""

    username: Text
    password: Password


async def login(tools: Tools, call: Call) -> Reply:
    """Exchange credentials for tokens; who hangs up frees the place in the queue for a hash."""
    credentials = await call.read(Credentials)
    issued = await call.unless_left(
        log_in(
            tools,
            username=credentials.username,
            password=credentials.password,
            network=network_of_caller(tools, call.scope),
            user_agent=_printable(", ".join(call.fields(b"user-agent"))),
        )
    )
    return token_answer(issued)


def _printable(text: str) -> str:
    """What is shown to people and stored: no control characters, which no database has to take."""
    return "".join(filter(str.isprintable, text[:_MAX_USER_AGENT]))
