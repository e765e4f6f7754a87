"""POST /password/change: the present password and a new one in, nothing out."""

import msgspec
from quart import Response

from watchword.endpoints.answers import done
from watchword.endpoints.bearer import bearer
from watchword.endpoints.bodies import Password, read_body
from watchword.endpoints.callers import asker
from watchword.flows import Tools
from watchword.flows.password import change_password as change


class Passwords(msgspec.Struct):
    """What the client sends."""

    current_password: Password
    new_password: Password


async def change_password(tools: Tools) -> Response:
    """Give the bearer a new password; all other sessions end."""
    passwords = await read_body(Passwords)
    await change(
        tools,
        token=bearer(),
        current_password=passwords.current_password,
        new_password=passwords.new_password,
        asker=asker(tools),
    )
    return done()
