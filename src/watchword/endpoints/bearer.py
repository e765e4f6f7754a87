"""Whose request it is, on the routes that ask for a bearer: the guard's user, or a service by its own token."""

from quart import request

from watchword.guard.admission import token_of_this_request
from watchword.guard.checkpoint import bearer_text
from watchword.model import AccessToken


def bearer() -> AccessToken:
    """The token that let the request through.

    Raises:
        LookupError: the route asks for none.
    """
    token = token_of_this_request()  # the proxy ``current_token`` would look it up for each of its claims
    if token is None:
        raise LookupError("only a guarded route has a bearer")
    return token


def service_token() -> str:
    """What a service has sent as its token; whether it is one, ``flows.admission`` finds out.

    Raises:
        MissingToken: there is none, or one of another scheme.
        InvalidToken: there are several.
    """
    return bearer_text(request.headers.getlist("Authorization"))
