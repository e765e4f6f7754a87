"""The token answer, which a login and a refresh have in common (``docs/http.md``)."""

from typing import Annotated, Final, Literal

import msgspec

from watchword.endpoints.answers import Seconds
from watchword.endpoints.doors import Reply
from watchword.endpoints.exchange import JSON
from watchword.flows.issue import Issued

_HEADERS: Final = (JSON, (b"pragma", b"no-cache"))  # RFC 6749 §5.1 asks for it beside Cache-Control


class TokenAnswer(msgspec.Struct):
    """What the client gets (RFC 6749 §5.1, but that the tutorial's clients look for ``token``)."""

    token: Annotated[str, msgspec.Meta(description="the access token, a JWT (RFC 9068)")]
    token_type: Literal["Bearer"]
    expires_in: Seconds
    refresh_token: Annotated[str, msgspec.Meta(description="good for one refresh")]
    refresh_expires_in: Seconds


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
