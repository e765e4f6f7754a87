"""One request at the door: whose it is, and whether that is enough."""

from typing import cast

from quart import Request, current_app, has_request_context, request, websocket

from watchword.errors import FreshLoginRequired, InsufficientScope, MissingToken
from watchword.guard.acting import token_of_the_actor
from watchword.guard.checkpoint import Checkpoint, checkpoint_of
from watchword.guard.marks import Requirement
from watchword.model import AccessToken


def admit(requirement: Requirement) -> AccessToken | None:
    """Judge the request that is being answered.

    Returns:
        Its token; None where it is optional and none was sent.

    Raises:
        TokenRefused: the bearer may not pass.
        Unavailable: it cannot be told right now.
        RuntimeError: the application has no guard.
    """
    checkpoint = checkpoint_of(current_app)
    token = _token_for(checkpoint, requirement)
    if token is None:
        return None
    if not requirement.scopes <= token.scopes:
        raise InsufficientScope(" ".join(sorted(requirement.scopes)))
    if requirement.fresh is not None and checkpoint.clock() - token.auth_time > requirement.fresh:
        raise FreshLoginRequired(requirement.fresh)
    return token


def _token_for(checkpoint: Checkpoint, requirement: Requirement) -> AccessToken | None:
    asked = cast("Request", request if has_request_context() else websocket)
    try:
        return checkpoint.admit(asked.headers.getlist("Authorization"))
    except MissingToken:
        token = token_of_the_actor(asked, checkpoint.actor)
        if token is None and not requirement.optional:
            raise
        return token
