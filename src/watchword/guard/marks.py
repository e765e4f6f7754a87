"""Marks on view functions: what a route asks of its caller, to be read by whoever walks the route table.

A mark also betrays decorators in the wrong order. In

    @token_required
    @app.get("/reports")
    async def reports(): …

the application has registered the inner function, and the guarded one is never called.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any, Final, Self

from quart.views import MethodView

from watchword.errors import InvalidRequest
from watchword.model import Scopes, scope_from, scopes_of

_REQUIREMENT: Final = "__watchword_requirement__"
_GUARDED_ELSEWHERE: Final = "__watchword_guarded_elsewhere__"
_EXEMPT: Final = "__watchword_exempt__"
_DEEPEST: Final = 1000
"""More views in one another than can be called; of ``unittest.mock.call`` each shows a new one inside for ever."""

View = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a view asks of a token.

    Attributes:
        scopes: which it must cover, all of them.
        optional: whether the caller may also have no token.
        fresh: seconds that may have passed since the login; None for any time.
    """

    scopes: Scopes
    optional: bool
    fresh: int | None = None

    @classmethod
    def of(cls, *, scope: str, optional: bool, fresh: int | None) -> Self:
        """What a developer has written, who is told of a slip where it stands and not by the first request.

        Args:
            scope: scopes that the token must cover, separated by spaces.
            optional: whether the caller may also have no token.
            fresh: seconds that may have passed since the login; None for any time.

        Raises:
            TypeError: the scope is no text, or ``fresh`` is no whole number.
            ValueError: the scope has what no scope may have (RFC 6749 §3.3) or is too long, or ``fresh`` is below 0.
        """
        if not isinstance(scope, str):
            raise TypeError(f"scope must be a text, with spaces between several scopes, and is {scope!r}")
        if fresh is not None and (not isinstance(fresh, int) or isinstance(fresh, bool)):
            raise TypeError(f"fresh must be a whole number of seconds, and is {fresh!r}")
        if fresh is not None and fresh < 0:
            raise ValueError(f"fresh must be 0 seconds or more, and is {fresh}")
        try:
            scope_from(scopes_of(scope))
        except InvalidRequest as refusal:  # no token covers it, and each refusal would name it in a header
            raise ValueError(f"{refusal}, and is {scope!r}") from None
        return cls(scopes=scopes_of(scope), optional=optional, fresh=fresh)


def mark(guarded: View, *, view: View, requirement: Requirement) -> None:
    """Mark a guarded view and those inside it, which may be guarded as well: of these none is to be registered.

    Which they are is told by ``wraps``, by ``partial`` and by methods, so that a decorator between the guard and the
    route hides nothing.
    """
    setattr(guarded, _REQUIREMENT, requirement)
    guarded.__dict__.pop(_GUARDED_ELSEWHERE, None)  # ``wraps`` has copied it from a view that others guard too
    inside: Any = view
    seen: dict[int, Any] = {}  # and not those that are marked: a transparent proxy shows what is inside as its own
    while inside is not None and id(inside) not in seen and len(seen) < _DEEPEST:
        seen[id(inside)] = inside
        with suppress(AttributeError, TypeError):  # it takes no marks, as a method, an object with slots or a built-in
            setattr(inside, _GUARDED_ELSEWHERE, True)
        inside = _next_inside(inside)


def _next_inside(view: Any) -> Any:
    if isinstance(view, MethodType):  # which shows the ``__wrapped__`` of its function as its own
        return view.__func__
    return view.func if isinstance(view, partial) else getattr(view, "__wrapped__", None)


def requirement_of(view: View) -> Requirement | None:
    """What a view asks of its caller, or None if it is not guarded."""
    return getattr(view, _REQUIREMENT, None)


def exempt(view: View) -> None:
    """Mark a view that is left out where all its neighbours ask for a token: a function, a class or a method of one.

    Raises:
        TypeError: it takes no mark, as a bound method; one on its function would open it for every other object too.
    """
    try:
        setattr(view, _EXEMPT, True)
    except AttributeError:
        raise TypeError(f"{view!r} takes no mark: let @guard.exempt stand above the method in its class") from None


def is_exempt(view: View, *, method: str) -> bool:
    """Whether a view is left out where its neighbours ask for a token.

    Args:
        view: what the route leads to.
        method: the request's, for of a class-based view one method may be left out and the others not.
    """
    if getattr(view, _EXEMPT, False):
        return True
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return False
    # A class has the mark by itself, and so has its method: one that inherits from it may show what is nobody else's
    # business.
    return _EXEMPT in vars(view_class) or any(getattr(each, _EXEMPT, False) for each in _handlers(view_class, method))


def _handlers(view_class: type[Any], method: str) -> list[Any]:
    """What a request of a class-based view runs, as Quart chooses it, of what the class has not inherited."""
    names = ["dispatch_request"]
    if issubclass(view_class, MethodView):
        is_by_get = method == "HEAD" and getattr(view_class, "head", None) is None
        names.append("get" if is_by_get else method.lower())
    return [getattr(view_class, name) for name in names if name in vars(view_class)]


def is_guarded_elsewhere(view: View) -> bool:
    """Whether a guard stands above what registers a view, where it guards nothing, whatever stands below."""
    return getattr(view, _GUARDED_ELSEWHERE, False)
