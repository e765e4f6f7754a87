"""The token answer, which a login and a refresh have in common (DESIGN §1)."""

import msgspec
from quart import Response

from watchword.endpoints.answers import answer
from watchword.flows.issue import Issued


class TokenAnswer(msgspec.Struct):
    """What the client gets (RFC 6749 §5.1, but that the tutorial's clients look for ``token``)."""

    token: str
    token_type: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def token_answer(issued: Issued) -> Response:
    """Tokens as JSON."""
    body = TokenAnswer(
        token=issued.token,
        token_type="Bearer",
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        refresh_expires_in=issued.refresh_expires_in,
    )
    return answer(body, headers={"Pragma": "no-cache"})  # RFC 6749 §5.1 asks for it beside Cache-Control
