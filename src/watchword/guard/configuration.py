"""What a guard is told by ``app.config`` and by the environment, under the names of the login service's settings."""

import os
from typing import TypeVar

from quart import Quart

from watchword.environment import PREFIX, text_of
from watchword.errors import SettingRefused

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
        RuntimeError: the process has it twice or its file holds no text, or the setting is empty or no text.
    """
    key = f"{PREFIX}{name}"
    return _filled(key, app.config[key] if key in app.config else _of_the_process(name, default))


def service_token(app: Quart) -> str | None:
    """The setting SERVICE_TOKEN for a guard that has a login service to present it to.

    None in ``app.config`` is not there. ``os.environ.get`` gives it for a slip in a name, or where the process has a
    file instead, and nobody would be told that logouts are not heard of.

    Raises:
        RuntimeError: the process has it twice or its file holds no text, or the setting is empty or no text.
    """
    name = "SERVICE_TOKEN"
    told = app.config.get(f"{PREFIX}{name}")
    return _filled(f"{PREFIX}{name}", _of_the_process(name, None) if told is None else told)


def _filled(key: str, value: T) -> T:
    if value == "":
        raise RuntimeError(f"{key} is empty; leave it out, or say what it is")
    if not isinstance(value, str | None):
        raise RuntimeError(f"{key} must be a text")
    return value


def _of_the_process(name: str, default: T) -> str | T:
    try:
        text = text_of(name, os.environ)
    except SettingRefused as fault:
        raise RuntimeError(str(fault)) from None
    return default if text is None else text.strip()
