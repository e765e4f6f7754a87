"""One way to run SQL on either database: statements written once, connections that run them, errors with one meaning.

Statements go to the drivers' own connections, with nothing between (docs/decisions/0001).
"""

import re
from collections.abc import Iterable
from typing import Any, Final, Protocol

Row = tuple[Any, ...]
"""One result row, in the order of the statement's columns."""

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)")
_POSTGRESQL_ONLY: Final = re.compile(r"/\* PostgreSQL: (.*?) \*/")


class Statement:
    """SQL text with ``:named`` parameters, as SQLite takes them, and the same with ``$1``, as PostgreSQL does.

    What stands in a comment ``/* PostgreSQL: … */`` is for PostgreSQL alone: locks on rows, which SQLite, whose writers
    take turns, has no need of.
    """

    __slots__ = ("named", "names", "numbered")

    def __init__(self, text: str) -> None:
        self.named = text
        self.names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
        places = {name: place for place, name in enumerate(self.names, start=1)}
        self.numbered = _PARAMETER.sub(lambda match: f"${places[match[1]]}", _POSTGRESQL_ONLY.sub(r"\1", text))


class Connection(Protocol):
    """A database connection that one task uses at a time."""

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        """Run a statement and return its rows; what a write changed is told by RETURNING."""
        ...


def first(rows: Iterable[Row]) -> Row | None:
    """The first row, or None where there is none."""
    return next(iter(rows), None)
