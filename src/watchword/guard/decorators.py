"""The decorator that guards a view, and the token of the request that it let through."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast, overload

from quart import current_app
from werkzeug.local import LocalProxy

from watchword.errors import TokenRefused, Unavailable
from watchword.guard.admission import admit, second_look, token_of_this_request
from watchword.guard.marks import Requirement, View, mark
from watchword.model import AccessToken

V = TypeVar("V", bound=View)


@overload
def token_required(view: V, /) -> V: ...
@overload
def token_required(*, scope: str = "", optional: bool = False, fresh: int | None = None) -> Callable[[V], V]: ...
def token_required(
    view: V | None = None, /, *, scope: str = "", optional: bool = False, fresh: int | None = None
) -> V | Callable[[V], V]:
    """Let only requests with a valid access token reach a view; for routes, blueprints and WebSockets.

        @app.get("/reports")
        @token_required(scope="reports:read")
        async def reports(): …

    It stands below the route. A request without a token is answered 401, one whose token lacks a scope 403, with the
    challenges of RFC 6750; a WebSocket is refused before it is accepted, and closed with 1008 when its token has
    expired or its session has ended. Where the guard follows which sessions have ended and has had no news for too
    long, the answer is 503.

    Args:
        view: the view, where the decorator is used without arguments.
        scope: scopes that the token must cover, separated by spaces.
        optional: also let requests without any token pass; ``current_token`` is then false. A token that is
            sent must be valid all the same.
        fresh: seconds that may have passed since the password was proven; a token whose login is older is answered
            401 with the challenge of RFC 9470.

    Raises:
        TypeError: what stands first is no view, the scope is no text, or ``fresh`` is no whole number.
        ValueError: the scope has what no scope may have (RFC 6749 §3.3) or is too long, or ``fresh`` is below 0.
    """
    if view is not None and not callable(view):  # the route would be given a coroutine, and each request a 500
        raise TypeError(f"{view!r} is no view; scopes are named: @token_required(scope=…)")
    requirement = Requirement.of(scope=scope, optional=optional, fresh=fresh)

    def guard(view: V) -> V:
        is_async = iscoroutinefunction(view)

        @wraps(view)
        async def guarded(*arguments: Any, **options: Any) -> Any:
            try:
                admit(requirement)
            except (TokenRefused, Unavailable) as reason:
                await second_look(requirement, reason)
            run = view if is_async else current_app.ensure_async(view)
            return await run(*arguments, **options)

        mark(guarded, view=view, requirement=requirement)
        return cast("V", guarded)

    return guard if view is None else guard(view)


current_token: AccessToken = cast("AccessToken", LocalProxy(token_of_this_request))
"""The token of the request that is being answered; false where it is optional and none was sent.

It is a proxy, so ``current_token is None`` is never true: ask ``if current_token``. ``scope`` is a text, and "admin" in
one of "reports:admin": ask ``"admin" in current_token.scopes``.
"""
