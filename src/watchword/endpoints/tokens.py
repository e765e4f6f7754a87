"""The token answer, which a login and a refresh have in common (DESIGN §1)."""

from typing import Final

import msgspec

from watchword.endpoints.doors import Reply
from watchword.endpoints.exchange import JSON
from watchword.flows.issue import Issued

_HEADERS: Final = (JSON, (b"pragma", b"no-cache"))  # RFC 6749 §5.1 asks for it beside Cache-Control


class TokenAnswer(msgspec.Struct):
    """What the client gets (RFC 6749 §5.1, but that the tutorial's clients look for ``token``)."""

    token: str
    token_type: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def token_answer(issued: Issued) -> Reply:
    """Tokens as JSON."""
    body = TokenAnswer(
        token=issued.token,
        token_type="Bearer",
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        refresh_expires_in=issued.refresh_expires_in,
    )
    return Reply(200, msgspec.json.encode(body), _HEADERS)
