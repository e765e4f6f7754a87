"""POST /login: credentials in, tokens out."""

import msgspec

from watchword.endpoints.bodies import Password, Text
from watchword.endpoints.doors import Call, Reply
from watchword.endpoints.tokens import token_answer
from watchword.flows import Tools
from watchword.flows.login import log_in, turn_away


class Credentials(msgspec.Struct):
    """What the client sends."""

    username: Text
    password: Password


async def login(tools: Tools, call: Call) -> Reply:
    """Exchange credentials for tokens; who hangs up frees the place in the queue for a hash."""
    asker = call.asker(tools)
    turn_away(tools, asker=asker)
    credentials = await call.read(Credentials)
    issued = await call.unless_left(
        log_in(tools, username=credentials.username, password=credentials.password, asker=asker)
    )
    return token_answer(issued)
