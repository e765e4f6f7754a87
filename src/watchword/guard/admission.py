"""One request at the door: whose it is, whether that is enough, and what is tried before it is refused."""

import asyncio
from typing import Any, Final, cast

from quart import Request, Websocket, current_app, has_request_context, has_websocket_context, request, websocket

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

_TOKEN: Final = "watchword.token"
"""A member of the request's ASGI scope. Not of ``g``: that all requests share where an application's server was started
inside ``app.app_context()``, and one would be answered as another's bearer."""
_BEHIND: Final = "watchword.behind"
"""A member of a WebSocket's ASGI scope: the scope of the request that it was begun behind, or None. A task inherits
Quart's contexts, and a WebSocket of a server that a view has started would be judged as that view's request."""
_ANSWERING: Final = "watchword.answering"
"""A member of a WebSocket's ASGI scope: the task that its view runs in. What is guarded may be a helper of that view in
a task of its own, which ends long before."""


def admit(requirement: Requirement) -> None:
    """Judge the request that is being answered, and keep its token; a WebSocket goes on being judged while it is open.

    Raises:
        TokenRefused: the bearer may not pass.
        Unavailable: it cannot be told right now.
        RuntimeError: the application has no guard.
    """
    checkpoint = checkpoint_of(current_app)
    is_websocket = has_websocket_context() and _is_begun_last()
    asked = websocket if is_websocket else request
    token = _token_for(asked, checkpoint, requirement)
    if token is not None:
        _judge(token, checkpoint, requirement)
        if is_websocket and token is not checkpoint.actor.get():  # of an actor's the login service knows nothing
            view = cast("dict[str, Any]", asked.scope)[_ANSWERING]
            watch(checkpoint, token, authorization=asked.headers.getlist("Authorization"), view=view)
    cast("dict[str, Any]", asked.scope)[_TOKEN] = token


async def begin_websocket() -> None:
    """Note, before anybody asks for its token, behind which request a WebSocket was begun, and what answers it."""
    scope = cast("dict[str, Any]", websocket.scope)
    scope[_BEHIND] = request.scope if has_request_context() else None
    scope[_ANSWERING] = asyncio.current_task()


async def second_look(requirement: Requirement, reason: TokenRefused | Unavailable) -> None:
    """Refuse a request that ``admit`` did not let in, unless newer keys of a login service elsewhere let it.

    Raises:
        Refusal: it stays refused.
    """
    remote = checkpoint_of(current_app).remote
    if remote is not None and isinstance(reason, UnknownKey):
        try:
            await remote.look_again()
            admit(requirement)
        except (TokenRefused, Unavailable) as later:
            reason = later
        else:
            return
    raise refusal_of(reason) from None


def token_of_this_request() -> AccessToken | None:
    """The token itself and not a proxy of it; None where it is optional and none was sent.

    Raises:
        RuntimeError: not in a view with @token_required, nor on a blueprint that ``Guard.require`` was told of.
    """
    is_websocket = has_websocket_context() and _is_begun_last()
    try:  # a proxy gets no name here: Quart's debugger shows each local, when the request that it stands for is over
        token: AccessToken | None = cast("dict[str, Any]", (websocket if is_websocket else request).scope)[_TOKEN]
    except (KeyError, RuntimeError):
        told = "current_token is only there in a guarded view (@token_required) and in an async generator put into"
        more = "quart.stream_with_context; what a sync one needs of it, the view takes before"
        raise RuntimeError(f"{told} {more}") from None
    return token


def _is_begun_last() -> bool:
    """Whether the WebSocket that is here was begun behind the request that is here, and not the other way round."""
    return not has_request_context() or websocket.scope.get(_BEHIND) is request.scope


def _judge(token: AccessToken, checkpoint: Checkpoint, requirement: Requirement) -> None:
    if requirement.scopes and not requirement.scopes <= token.scopes:
        required = " ".join(sorted(requirement.scopes))
        raise InsufficientScope(required, user_id=token.sub, session_id=token.sid)
    if requirement.fresh is not None and checkpoint.clock() - token.auth_time > requirement.fresh:
        raise FreshLoginRequired(requirement.fresh)


def _token_for(asked: Request | Websocket, checkpoint: Checkpoint, requirement: Requirement) -> AccessToken | None:
    try:
        return checkpoint.admit(asked.headers.getlist("Authorization"))
    except MissingToken:
        token = token_of_the_actor(asked, checkpoint.actor)
        if token is None and not requirement.optional:
            raise
        return token
