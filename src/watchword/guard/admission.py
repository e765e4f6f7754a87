"""One request at the door: whose it is, whether that is enough, and what is tried before it is refused."""

from quart import Request, Websocket, current_app, has_request_context, request, websocket

from watchword.errors import (
    FreshLoginRequired,
    InsufficientScope,
    MissingToken,
    TokenRefused,
    Unavailable,
    UnknownKey,
)
from watchword.guard.acting import token_of_the_actor
from watchword.guard.checkpoint import Checkpoint, checkpoint_of
from watchword.guard.marks import Requirement
from watchword.guard.refusal import refusal_of
from watchword.guard.watch import watch
from watchword.model import AccessToken


def admit(requirement: Requirement) -> AccessToken | None:
    """Judge the request that is being answered; a WebSocket goes on being judged while it is open.

    Returns:
        Its token; None where it is optional and none was sent.

    Raises:
        TokenRefused: the bearer may not pass.
        Unavailable: it cannot be told right now.
        RuntimeError: the application has no guard.
    """
    checkpoint = checkpoint_of(current_app)
    is_websocket = not has_request_context()
    asked = websocket if is_websocket else request
    token = _token_for(asked, checkpoint, requirement)
    if token is None:
        return None
    if requirement.scopes and not requirement.scopes <= token.scopes:
        required = " ".join(sorted(requirement.scopes))
        raise InsufficientScope(required, user_id=token.sub, session_id=token.sid)
    if requirement.fresh is not None and checkpoint.clock() - token.auth_time > requirement.fresh:
        raise FreshLoginRequired(requirement.fresh)
    if is_websocket and token is not checkpoint.actor.get():  # of an actor's token the login service knows nothing
        watch(checkpoint, token)
    return token


async def second_look(requirement: Requirement, reason: TokenRefused | Unavailable) -> AccessToken | None:
    """Refuse a request that ``admit`` did not let in, unless newer keys of a login service elsewhere let it.

    Raises:
        Refusal: it stays refused.
    """
    remote = checkpoint_of(current_app).remote
    if remote is not None and isinstance(reason, UnknownKey):
        try:
            await remote.look_again()
            return admit(requirement)
        except (TokenRefused, Unavailable) as later:
            reason = later
    raise refusal_of(reason) from None


def _token_for(asked: Request | Websocket, checkpoint: Checkpoint, requirement: Requirement) -> AccessToken | None:
    try:
        return checkpoint.admit(asked.headers.getlist("Authorization"))
    except MissingToken:
        token = token_of_the_actor(asked, checkpoint.actor)
        if token is None and not requirement.optional:
            raise
        return token
