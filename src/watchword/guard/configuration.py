"""What a guard is told by ``app.config`` and by the environment, under the names of the login service's settings."""

import os
from pathlib import Path
from typing import TypeVar

from quart import Quart

T = TypeVar("T")


def setting(app: Quart, name: str, default: T) -> str | T:
    """A setting of the application, or of the process where the application has none.

    What is there and empty is no wish for the default. A file whose secret could not be written is empty too, and the
    guard would go on without what it was meant to ask for.

    Args:
        app: whose ``app.config["WATCHWORD_<name>"]`` counts first, None too: there is to be none.
        name: after the prefix. The environment has ``WATCHWORD_<name>``, or ``WATCHWORD_<name>_FILE`` with the name of
            a file that holds the value.
        default: where neither has it.

    Raises:
        RuntimeError: the file cannot be read, or the setting is empty or no text.
    """
    key = f"WATCHWORD_{name}"
    return _filled(key, app.config[key] if key in app.config else _of_the_process(key, default))


def service_token(app: Quart) -> str | None:
    """The setting SERVICE_TOKEN for a guard that has a login service to present it to.

    None in ``app.config`` is not there. ``os.environ.get`` gives it for a slip in a name, or where the process has a
    file instead, and nobody would be told that logouts are not heard of.

    Raises:
        RuntimeError: the file cannot be read, or the setting is empty or no text.
    """
    key = "WATCHWORD_SERVICE_TOKEN"
    told = app.config.get(key)
    return _filled(key, _of_the_process(key, None) if told is None else told)


def _filled(key: str, value: T) -> T:
    if value == "":
        raise RuntimeError(f"{key} is empty; leave it out, or say what it is")
    if not isinstance(value, str | None):
        raise RuntimeError(f"{key} must be a text")
    return value


def _of_the_process(key: str, default: T) -> str | T:
    path = os.environ.get(f"{key}_FILE")
    if path is None:
        return os.environ.get(key, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as fault:
        raise RuntimeError(f"{key}_FILE cannot be read ({type(fault).__name__})") from None
