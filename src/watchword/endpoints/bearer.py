"""Whose request it is, on the routes that the guard stands before."""

from watchword.guard.decorators import token_of_this_request
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
