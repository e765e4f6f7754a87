"""Marks on view functions: what a route asks of its caller, to be read by whoever walks the route table.

A mark also betrays decorators in the wrong order. In

    @token_required
    @app.get("/reports")
    async def reports(): …

the application has registered the inner function, and the guarded one is never called.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from watchword.model import Scopes, scopes_of

_REQUIREMENT: Final = "__watchword_requirement__"
_GUARDED_ELSEWHERE: Final = "__watchword_guarded_elsewhere__"
_EXEMPT: Final = "__watchword_exempt__"

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
        """
        if not isinstance(scope, str):
            raise TypeError(f"scope must be a text, with spaces between several scopes, and is {scope!r}")
        if fresh is not None and (not isinstance(fresh, int) or isinstance(fresh, bool)):
            raise TypeError(f"fresh must be a whole number of seconds, and is {fresh!r}")
        return cls(scopes=scopes_of(scope), optional=optional, fresh=fresh)


def mark(guarded: View, *, view: View, requirement: Requirement) -> None:
    """Mark a guarded view and the one inside it, which may be guarded as well."""
    setattr(guarded, _REQUIREMENT, requirement)
    guarded.__dict__.pop(_GUARDED_ELSEWHERE, None)  # ``wraps`` has copied it from a view that others guard too
    with suppress(AttributeError):  # a bound method, which takes no marks: no decorator stands above a route for it
        setattr(view, _GUARDED_ELSEWHERE, True)


def requirement_of(view: View) -> Requirement | None:
    """What a view asks of its caller, or None if it is not guarded."""
    return getattr(view, _REQUIREMENT, None)


def exempt(view: View) -> None:
    """Mark a view that is left out where all its neighbours ask for a token."""
    setattr(view, _EXEMPT, True)


def is_exempt(view: View) -> bool:
    """Whether a view is left out where its neighbours ask for a token."""
    return getattr(view, _EXEMPT, False)


def unguarded_views(views: Mapping[str, View]) -> list[str]:
    """The names of views with a guard above the route, where it guards nothing, whatever stands below."""
    return [name for name, view in views.items() if getattr(view, _GUARDED_ELSEWHERE, False)]
