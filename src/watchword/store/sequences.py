"""The sequences that PostgreSQL numbers rows from, and whether a number is above those of all rows that there are.

It must be: who follows a table asks for what comes behind the newest number that they have seen.
"""

from typing import Final

from watchword.store.connection import Connection, Statement

NUMBERED: Final = {"revocations": "seq", "audit_events": "id"}
"""Columns whose numbers PostgreSQL gives."""

_OF_COLUMNS: Final = ", ".join(f"pg_get_serial_sequence('{table}', '{column}')" for table, column in NUMBERED.items())
_ODD: Final = Statement(
    "SELECT sequencename FROM pg_sequences WHERE (increment_by, cache_size, cycle) <> (1, 1, false)"
    f" AND format('%I.%I', schemaname, sequencename) IN ({_OF_COLUMNS})"
)
_NEWEST_AND_LAST: Final = {
    table: Statement(
        f"SELECT coalesce(max({column}), 0), (SELECT last_value FROM pg_sequences"
        " WHERE format('%I.%I', schemaname, sequencename)"
        f" = pg_get_serial_sequence('{table}', '{column}')) FROM {table}"
    )
    for table, column in NUMBERED.items()
}
"""The newest number that a row has, and the last that the sequence gave; NULL if none, as after RESTART WITH."""
_BEFORE_THE_NEXT: Final = {
    table: Statement(f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {table}_{column}_seq")
    for table, column in NUMBERED.items()
}


async def odd(connection: Connection) -> list[str]:
    """The names of those that give numbers out of turn, as with a cache, of which each connection has its own."""
    return [name for (name,) in await connection.fetch(_ODD)]


async def is_behind(connection: Connection, *, table: str) -> bool:
    """Whether the next number for a table is not above those of its rows."""
    ((newest, last),) = await connection.fetch(_NEWEST_AND_LAST[table])
    if newest and last is None:  # only then: who may take numbers of a sequence need not be allowed to read it
        ((last,),) = await connection.fetch(_BEFORE_THE_NEXT[table])
    return bool(newest > (last or 0))


def in_turn(sequence: str) -> str:
    """What its owner runs to have one of the odd count by one."""
    return f"ALTER SEQUENCE {sequence} INCREMENT 1 CACHE 1 NO CYCLE"


def caught_up(table: str) -> str:
    """What the owner of a table runs whose sequence is behind."""
    column = NUMBERED[table]
    return f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}"
