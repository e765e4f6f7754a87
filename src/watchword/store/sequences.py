"""The sequences that PostgreSQL numbers rows from, and whether a number is above those of all rows that there are.

It must be: who follows a table asks for what comes behind the newest number that they have seen.
"""

from typing import Final

from watchword.store.connection import Connection, Statement

NUMBERED: Final = {"revocations": "seq", "audit_events": "id"}
"""Columns whose numbers PostgreSQL gives."""

_COLUMNS: Final = ", ".join(f"('{table}', '{column}')" for table, column in NUMBERED.items())
GIVING: Final = (
    "(SELECT relation, seqrelid AS oid, seqrelid::regclass::text AS name, seqincrement, seqcache, seqcycle"
    f" FROM (VALUES {_COLUMNS}) AS numbered (relation, number)"
    " JOIN pg_attribute ON attrelid = to_regclass(relation) AND attname = number JOIN ("
    "SELECT adrelid AS of_table, adnum AS of_column, refobjid AS giver FROM pg_attrdef JOIN pg_depend"
    " ON classid = 'pg_attrdef'::regclass AND objid = pg_attrdef.oid AND refclassid = 'pg_class'::regclass"
    " UNION ALL SELECT refobjid, refobjsubid, objid FROM pg_depend"  # an identity's
    " WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype = 'i'"
    ") AS dependence ON of_table = attrelid AND of_column = attnum"
    " JOIN pg_sequence ON seqrelid = giver)"
)
"""Those that the columns take their numbers from, by their defaults or as identities: no name says so, nor does
``OWNED BY``. ``relation`` is the table's name, ``name`` the sequence's own as statements take it."""

_OF_TABLES: Final = Statement(f"SELECT relation, name FROM {GIVING} AS giving")
_ODD: Final = Statement(
    f"SELECT name FROM {GIVING} AS giving WHERE (seqincrement, seqcache, seqcycle) <> (1, 1, false)"
)
_NEWEST_AND_LAST: Final = {
    table: Statement(f"SELECT coalesce(max({column}), 0), pg_sequence_last_value(to_regclass(:sequence)) FROM {table}")
    for table, column in NUMBERED.items()
}
"""The newest number that a row has, and the last that the sequence gave; NULL if none, as after RESTART WITH."""


async def of_tables(connection: Connection) -> dict[str, str]:
    """The names of those that give numbers, by the tables that they give them to."""
    return dict(await connection.fetch(_OF_TABLES))


async def odd(connection: Connection) -> list[str]:
    """The names of those that give numbers out of turn, as with a cache, of which each connection has its own."""
    return [name for (name,) in await connection.fetch(_ODD)]


async def is_behind(connection: Connection, *, table: str, sequence: str) -> bool:
    """Whether the next number for a table is not above those of its rows."""
    ((newest, last),) = await connection.fetch(_NEWEST_AND_LAST[table], sequence=sequence)
    if newest and last is None:  # only then: who may take numbers of a sequence need not be allowed to read it
        before_the_next = f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}"
        ((last,),) = await connection.fetch(Statement(before_the_next))
    return bool(newest > (last or 0))


def in_turn(sequence: str) -> str:
    """What its owner runs to have one of the odd count by one."""
    return f"ALTER SEQUENCE {sequence} INCREMENT 1 CACHE 1 NO CYCLE"


def caught_up(table: str, sequence: str) -> str:
    """What the owner of a table runs whose sequence is behind."""
    return f"SELECT setval('{sequence}', max({NUMBERED[table]})) FROM {table}"
