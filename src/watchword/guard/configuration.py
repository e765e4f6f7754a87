"""What a guard is told by ``app.config`` and by the environment, under the names of the login service's settings."""

import os
from pathlib import Path
from typing import TypeVar

from quart import Quart

T = TypeVar("T")


def setting(app: Quart, name: str, default: T) -> str | T:
    """A setting of the application, or of the process where the application has none.

    Args:
        app: whose ``app.config["WATCHWORD_<name>"]`` counts first, whatever it is.
        name: after the prefix. The environment has ``WATCHWORD_<name>``, or ``WATCHWORD_<name>_FILE`` with the name of
            a file that holds the value.
        default: where neither has it.

    Raises:
        RuntimeError: the file cannot be read.
    """
    key = f"WATCHWORD_{name}"
    if key in app.config:
        value: str | T = app.config[key]
        return value
    if path := os.environ.get(f"{key}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as fault:
            raise RuntimeError(f"{key}_FILE cannot be read ({type(fault).__name__})") from None
    return os.environ.get(key) or default
