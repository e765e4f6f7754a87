"""What the environment says of a setting: one rule for the service, and for the guard in another application."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from watchword.errors import SettingRefused

PREFIX: Final = "WATCHWORD_"
_MOST_CHARACTERS: Final = 1 << 16
"""Of a file; all of a larger one, which was named by mistake, need not fit into memory."""


def text_of(name: str, environ: Mapping[str, str]) -> str | None:
    """A setting's text, from its variable or from the file that ``…_FILE`` names; None where neither is there.

    Others may read that file, as containers' secrets have it, and its group may write it, as under umask 002.

    Args:
        name: after the prefix.
        environ: the process's variables.

    Raises:
        SettingRefused: it is set twice, or its file holds no text or may be written by anybody.
    """
    direct, path = (environ.get(f"{PREFIX}{name}{suffix}") for suffix in ("", "_FILE"))
    if direct is not None and path is not None:
        raise SettingRefused(name, f"is set twice, directly and by {PREFIX}{name}_FILE")
    if path is None:
        return direct
    file = Path(path)
    try:
        text = text_in(file).rstrip("\r\n")
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as fault:
        raise SettingRefused(f"{name}_FILE", f"cannot be read ({type(fault).__name__})") from None
    except ValueError as fault:
        raise SettingRefused(f"{name}_FILE", str(fault)) from None
    if mode & stat.S_IWOTH:  # whoever has an account on the machine would choose our secret, or whom we believe
        raise SettingRefused(f"{name}_FILE", f"is open for others to write (mode {mode:04o}); run chmod o-w on it")
    return text


def text_in(path: Path) -> str:
    """The text of a regular file, or of the one that a symbolic link leads to.

    Raises:
        OSError: it is out of reach.
        ValueError: it holds no text. The message says why, and holds nothing of what is there.
    """
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
        if is_regular:
            with path.open(encoding="utf-8") as file:
                text = file.read(_MOST_CHARACTERS + 1)
    except ValueError as fault:  # no UTF-8 in the file, or a NUL in its name
        raise ValueError(f"cannot be read ({type(fault).__name__})") from None
    if not is_regular:  # a pipe would be waited for, for ever
        raise ValueError("cannot be read (it is no regular file)")
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"is longer than {_MOST_CHARACTERS} characters")
    if text.startswith("\ufeff"):  # an editor's, which would be a part of the value that nobody sees
        raise ValueError("begins with a byte order mark; save it without one")
    return text
