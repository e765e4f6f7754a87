"""What the routes under /oauth have in common: a form with a token, sent by a client that proves who it is."""

from base64 import b64decode
from typing import Annotated
from urllib.parse import unquote_plus

import msgspec
from quart import request

from watchword.endpoints.forms import read_form
from watchword.errors import InvalidClient, InvalidRequest
from watchword.flows.admission import ClientCredentials


class TokenForm(msgspec.Struct, omit_defaults=True):
    """What the client sends (RFC 7662 §2.1, RFC 7009 §2.1).

    The hint is not looked at: an access token and a refresh token cannot be taken for each other. Any text will do for
    a token, even one with a NUL in it: it is none of ours, which is no error here, and no database hears of it.
    """

    token: Annotated[str, msgspec.Meta(min_length=1)]
    token_type_hint: str = ""
    client_id: str = ""
    client_secret: str = ""


async def read_token_form() -> tuple[ClientCredentials, str]:
    """The client that asks, not yet believed, and the token that it asks about.

    Raises:
        InvalidRequest: the form cannot be read, or the client proves itself in several ways.
        InvalidClient: it does not at all.
    """
    form = await read_form(TokenForm)
    return _credentials(form), form.token


def _credentials(form: TokenForm) -> ClientCredentials:
    """Name and secret from HTTP Basic or from the form, but from one of them (RFC 6749 §2.3)."""
    sent = request.headers.getlist("Authorization")
    in_form = bool(form.client_id or form.client_secret)
    if len(sent) + in_form > 1:
        raise InvalidRequest("A client proves itself in one way only")
    return _basic(sent[0]) if sent else ClientCredentials(form.client_id, form.client_secret)


def _basic(authorization: str) -> ClientCredentials:
    """Name and secret as RFC 6749 §2.3.1 puts them into RFC 7617's header: each encoded as in a form."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("scheme")
    try:
        name, colon, secret = b64decode(text.lstrip(" "), validate=True).decode("ascii").partition(":")
        if not colon:
            raise InvalidClient("form")
        return ClientCredentials(unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict"))
    except ValueError:
        raise InvalidClient("form") from None
