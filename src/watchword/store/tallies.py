"""The table of tallies, what the throttle remembers: read, and written by whoever read it last."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from watchword.identifiers import new_version
from watchword.limits import Tally
from watchword.store.connection import Connection, Statement, first

_TALLY: Final = "failures, since, until, lease, young, old"
_COLUMNS: Final = f"key, {_TALLY}, over_at, version"
_NAMES: Final = _TALLY.split(", ")
_AT_ONCE: Final = 5
"""Keys that are looked for: those of one guess."""

_FIND = Statement(f"SELECT {_COLUMNS} FROM tallies WHERE key IN ({', '.join(f':key_{n}' for n in range(_AT_ONCE))})")
_LOCK = Statement(f"SELECT {_COLUMNS} FROM tallies WHERE key = :key /* PostgreSQL: FOR UPDATE */")
_INSERT = Statement(
    f"INSERT INTO tallies ({_COLUMNS}) VALUES (:key, {', '.join(f':{name}' for name in _NAMES)}, :over_at, :version)"
    " ON CONFLICT (key) DO NOTHING RETURNING version"
)
_UPDATE = Statement(
    f"UPDATE tallies SET {', '.join(f'{name} = :{name}' for name in [*_NAMES, 'over_at'])}, version = version + 1"
    " WHERE key = :key AND version = :version RETURNING version"
)
_REMOVE = Statement("DELETE FROM tallies WHERE key = :key AND version = :version RETURNING key")
_PURGE = Statement(
    "DELETE FROM tallies WHERE key IN (SELECT key FROM tallies WHERE over_at <= :before ORDER BY over_at LIMIT :limit"
    " /* PostgreSQL: FOR UPDATE SKIP LOCKED */) RETURNING key"
)


class Entry(NamedTuple):
    """A row, or where there is none what a row would begin with.

    Attributes:
        key: a digest of what the tally is of.
        tally: what is remembered.
        over_at: when there is nothing left to remember.
        version: counted up by each write, from a random number: a row that is removed and made again is another one.
            0 where there is no row.
    """

    key: bytes
    tally: Tally = Tally()
    over_at: int = 0
    version: int = 0


async def find(connection: Connection, *, keys: Sequence[bytes]) -> list[Entry]:
    """The entries of five keys, in their order."""
    rows = await connection.fetch(_FIND, **{f"key_{n}": key for n, key in enumerate(keys)})
    found = {entry.key: entry for entry in map(_entry, rows)}
    return [found.get(key, Entry(key)) for key in keys]


async def lock(connection: Connection, *, key: bytes) -> Entry:
    """The newest entry of a key, which nobody else writes until the transaction ends, if there is a row."""
    row = first(await connection.fetch(_LOCK, key=key))
    return Entry(key) if row is None else _entry(row)


async def put(connection: Connection, entry: Entry, *, tally: Tally, over_at: int) -> Entry | None:
    """Replace an entry.

    Returns:
        The new one; None if somebody else has written it since it was read.
    """
    statement, version = (_UPDATE, entry.version) if entry.version else (_INSERT, new_version())
    values = dict(zip(_NAMES, tally, strict=True))
    rows = await connection.fetch(statement, key=entry.key, over_at=over_at, version=version, **values)
    row = first(rows)
    return None if row is None else Entry(entry.key, tally, over_at, row[0])


async def remove(connection: Connection, entry: Entry) -> bool:
    """Remove an entry that there is nothing left in, unless somebody has written it since it was read."""
    return bool(await connection.fetch(_REMOVE, key=entry.key, version=entry.version))


async def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Remove up to ``limit`` entries that were over at a time, and tell how many."""
    return len(await connection.fetch(_PURGE, before=before, limit=limit))


def _entry(row: Sequence[object]) -> Entry:
    key, *tally, over_at, version = row
    return Entry(bytes(key), Tally(*tally), over_at, version)  # type: ignore[arg-type, call-overload]
