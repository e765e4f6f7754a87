"""What the database holds, as a line for people or programs. It stays a line, whatever a foreign hand has put there."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime


def text(value: object) -> str:
    """A text as it is, but for what a terminal would obey; what is no text as Python writes it."""
    if not isinstance(value, str):
        return repr(value)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in value)


def for_programs(fields: Mapping[str, object]) -> str:
    """A JSON object; bytes, which SQLite may hold where there was text, are told in hexadecimal."""
    return json.dumps(fields, default=bytes.hex)


def moment(seconds: object) -> str:
    """Seconds since the epoch as a time in UTC; what is none as it stands there."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return text(seconds)
