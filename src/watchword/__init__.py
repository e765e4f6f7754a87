"""Watchword: a password goes in, a bearer token comes out.

The public names are loaded when they are first used, so that importing watchword costs nothing and the guard of
another application never loads the server's half.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchword.app import create_app
    from watchword.guard import Guard, current_token, token_required
    from watchword.keys import KeyRing
    from watchword.model import AccessToken

__all__ = ["AccessToken", "Guard", "KeyRing", "create_app", "current_token", "token_required"]

__version__ = "0.1.0"

_HOMES = {
    "AccessToken": "watchword.model",
    "Guard": "watchword.guard",
    "KeyRing": "watchword.keys",
    "create_app": "watchword.app",
    "current_token": "watchword.guard",
    "token_required": "watchword.guard",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'watchword' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
