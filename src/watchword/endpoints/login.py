"""POST /login: credentials in, a token out."""

from typing import Annotated

import msgspec
from quart import Response

from watchword.endpoints.answers import answer
from watchword.endpoints.bodies import read_body
from watchword.flows import Tools
from watchword.flows.login import log_in

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Credentials(msgspec.Struct):
    """What the client sends."""

    username: Text
    password: Text


class TokenAnswer(msgspec.Struct):
    """What it gets (RFC 6749 §5.1, but that the tutorial's clients look for ``token``)."""

    token: str
    token_type: str
    expires_in: int


async def login(tools: Tools) -> Response:
    """Exchange credentials for an access token."""
    credentials = await read_body(Credentials)
    issued = await log_in(tools, username=credentials.username, password=credentials.password)
    return answer(
        TokenAnswer(token=issued.token, token_type="Bearer", expires_in=issued.expires_in),
        headers={"Pragma": "no-cache"},  # RFC 6749 §5.1 asks for it beside Cache-Control
    )
