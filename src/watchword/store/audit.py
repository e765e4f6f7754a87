"""The table of audit events, to which rows are only added, and what is kept of those that were too old."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import takewhile

from watchword.audit import Anchor, Entry, Seals
from watchword.errors import ChainBroken
from watchword.store import turns
from watchword.store.connection import Connection, Row, Statement, first
from watchword.store.turns import Turn

_COLUMNS = Entry._fields
_LISTED = ", ".join(_COLUMNS)
_QUALIFIED = ", ".join(f"audit_events.{name}" for name in _COLUMNS)
_SIZE = len(_COLUMNS)
_EVER = 2**63 - 1
_CHUNKS = (16, 4, 1)
"""Rows per statement. With many more, SQLite takes longer for each: it looks every name up among all."""

_NEWEST = Statement(f"SELECT id, {_LISTED} FROM audit_events ORDER BY id DESC LIMIT :limit")
_NEWEST_LINKS = Statement(
    f"SELECT {_QUALIFIED}, coalesce(before.digest, audit_anchors.digest) FROM audit_events"
    " LEFT JOIN audit_events AS before"
    " ON before.writer = audit_events.writer AND before.seq = audit_events.seq - 1"
    " LEFT JOIN audit_anchors"
    " ON audit_anchors.writer = audit_events.writer AND audit_anchors.seq = audit_events.seq - 1"
    " ORDER BY audit_events.id DESC LIMIT :limit"
)
_BOUNDS = {"after": "id > :after", "last": "id <= :last", "since": "at >= :since", "until": "at < :until"}
_FIRST_WRITER = Statement("SELECT min(writer) FROM audit_events")
_NEXT_WRITER = Statement("SELECT min(writer) FROM audit_events WHERE writer > :after")
_HUNG = (
    f"SELECT audit_events.id, {_QUALIFIED},"
    " audit_anchors.seq, audit_anchors.at, audit_anchors.digest, audit_anchors.mac"
    " FROM audit_events LEFT JOIN audit_anchors ON audit_anchors.writer = audit_events.writer"
    " WHERE audit_events.writer = :writer"
)
# From the beginning without a bound: somebody else may have inserted an event at the least place that there is.
_CHAIN = Statement(f"{_HUNG} ORDER BY audit_events.seq LIMIT :limit")
_CHAIN_AFTER = Statement(f"{_HUNG} AND audit_events.seq > :after ORDER BY audit_events.seq LIMIT :limit")
_DIGESTS = Statement("SELECT seq, digest FROM audit_events WHERE writer = :writer AND seq >= :first AND seq <= :last")
_COUNT = Statement("SELECT count(*) FROM audit_events")
_OLD = Statement(
    "SELECT writer FROM audit_events AS old WHERE at < :before AND NOT EXISTS"
    " (SELECT 1 FROM audit_events AS older WHERE older.writer = old.writer AND older.seq < old.seq)"
    " ORDER BY at LIMIT 1"
)
_REMOVE = Statement("DELETE FROM audit_events WHERE writer = :writer AND seq <= :seq")
_HANG = Statement(
    "INSERT INTO audit_anchors (writer, seq, at, digest, mac) VALUES (:writer, :seq, :at, :digest, :mac)"
    " ON CONFLICT (writer) DO UPDATE SET seq = :seq, at = :at, digest = :digest, mac = :mac"
)
_FORGET = Statement(
    "DELETE FROM audit_anchors WHERE at < :before AND NOT EXISTS"
    " (SELECT 1 FROM audit_events WHERE audit_events.writer = audit_anchors.writer)"
)


async def append(connection: Connection, *, entries: Sequence[Entry]) -> None:
    """Add events of one writer, in their order; those that are there already stay, so a batch may be written again.

    Raises:
        ChainBroken: at the place of one there is another.
    """
    # So that numbers are committed in their order, and who follows the table misses none.
    await turns.take(connection, Turn.AUDIT)
    start = added = 0
    for chunk in _CHUNKS:
        while len(entries) - start >= chunk:
            statement, rows = _insert(chunk), entries[start : start + chunk]
            in_order = (value for row in rows for value in row)  # as the statement's names are
            added += len(await connection.fetch(statement, **dict(zip(statement.names, in_order, strict=True))))
            start += chunk
    if added < len(entries):
        writer, bounds = entries[0].writer, {"first": entries[0].seq, "last": entries[-1].seq}
        stored: dict[object, object] = dict(await connection.fetch(_DIGESTS, writer=writer, **bounds))
        for entry in entries:
            if stored.get(entry.seq) != entry.digest:
                raise ChainBroken(writer, entry.seq, "is another's")


async def newest(connection: Connection, *, limit: int) -> list[tuple[int, Entry]]:
    """The last events that were written, each with its number in the table, the oldest first."""
    return [_numbered(row) for row in reversed(await connection.fetch(_NEWEST, limit=limit))]


async def newest_links(connection: Connection, *, limit: int) -> list[tuple[Entry, object]]:
    """The last events that were written, each with the digest before it; that of a writer's first is empty.

    Where the event before was removed because it was old, its digest is the anchor's.
    """
    rows = await connection.fetch(_NEWEST_LINKS, limit=limit)
    return [(Entry(*row[:_SIZE]), b"" if row[_SIZE] is None else row[_SIZE]) for row in rows]


async def after(
    connection: Connection, *, number: int | None, since: int | None, until: int | None, limit: int
) -> tuple[list[tuple[int, Entry]], int | None]:
    """Those of the next ``limit`` events behind a number, or from the beginning, that are of a span of time, or all.

    What has no time, as SQLite would store it, is in no span. Of a question for so many in the span the database might
    look at all that there are before the first, for longer than a statement may take.

    Args:
        connection: to the database.
        number: that of the last event which was looked at.
        since: milliseconds since the epoch.
        until: the same; what happened then is not in the span.
        limit: how many are looked at.

    Returns:
        The events with their numbers, and the number of the last that was looked at; None if there was none.
    """
    if since is not None and until is None:
        until = _EVER  # for SQLite a text is greater than any number
    place = {} if number is None else {"after": number}
    ((last,),) = await connection.fetch(_last(*place), **place, limit=limit)
    if last is None:
        return [], None
    times = {name: value for name, value in {"since": since, "until": until}.items() if value is not None}
    bounds = {**place, "last": last, **times}
    return [_numbered(row) for row in await connection.fetch(_listing(*bounds), **bounds)], last


async def next_writer(connection: Connection, *, after: str | bytes | None) -> str | bytes | None:
    """The writer whose id follows another's, or the first one; None where there is none.

    It is what is stored, for the next one is looked for behind it: SQLite has bytes behind all texts, and nobody of us
    has written any.
    """
    asked = connection.fetch(_FIRST_WRITER) if after is None else connection.fetch(_NEXT_WRITER, after=after)
    writer: str | bytes | None
    ((writer,),) = await asked
    return writer


async def chain(
    connection: Connection, *, writer: str, after: int | None = None, limit: int
) -> tuple[list[tuple[int, Entry]], Anchor | None]:
    """Up to ``limit`` events of a writer behind a place, and where the first of all hangs, both of one moment.

    Each event comes with its number in the table.
    """
    if after is None:
        rows = await connection.fetch(_CHAIN, writer=writer, limit=limit)
    else:
        rows = await connection.fetch(_CHAIN_AFTER, writer=writer, after=after, limit=limit)
    entries = [_numbered(row[: _SIZE + 1]) for row in rows]
    anchored = next((row[_SIZE + 1 :] for row in rows if row[_SIZE + 1] is not None), None)
    return entries, None if anchored is None else Anchor(writer, *anchored)


async def count(connection: Connection) -> int:
    """How many events there are."""
    ((number,),) = await connection.fetch(_COUNT)
    return int(number)


async def find_old(connection: Connection, *, before: int) -> str | None:
    """A writer whose events begin with one that is older than a time in milliseconds; None if there is none.

    To be asked before the transaction that removes: it passes all old events of writers that began ahead of time.
    """
    found = first(await connection.fetch(_OLD, before=before))
    if found is None:
        return None
    writer: str = found[0]  # or what a foreign hand has left there in SQLite, which must go as well
    return writer


async def purge(connection: Connection, *, seals: Seals, writer: str, before: int, limit: int) -> int:
    """Remove the beginning of one writer's events, as far as they are old.

    Where the rest hangs is noted for those only that are as they were written: who can write the table could date back
    what is to disappear, and have us do it.

    Args:
        connection: the database.
        seals: check what is removed.
        writer: whose.
        before: milliseconds since the epoch.
        limit: how many at most.

    Returns:
        How many went; 0 where the events begin with none that is old, as when another process was quicker.
    """
    await turns.take(connection, Turn.AUDIT)
    entries, anchor = await chain(connection, writer=writer, limit=limit)
    # What has no time goes with the old: nobody of us wrote it, and it must not hold up what is behind it.
    old = list(takewhile(lambda each: not isinstance(each[1].at, int) or each[1].at < before, entries))
    if not old:
        return 0
    _, last = old[-1]
    await connection.fetch(_REMOVE, writer=writer, seq=last.seq)
    followed = seals.follow(writer, anchor=anchor)
    with suppress(ChainBroken):  # the rest then hangs on nothing, and whoever verifies is told
        for number, entry in old:
            followed.check(number, entry)
        await connection.fetch(_HANG, **followed.anchor(at=last.at)._asdict())
    return len(old)


async def forget_anchors(connection: Connection, *, before: int) -> None:
    """Remove what was kept of writers of whom nothing has been heard since a time in milliseconds."""
    await connection.fetch(_FORGET, before=before)


@cache
def _listing(*bounds: str) -> Statement:
    """What lists events within bounds."""
    return Statement(f"SELECT id, {_LISTED} FROM audit_events WHERE {_within(bounds)} ORDER BY id")


@cache
def _last(*bounds: str) -> Statement:
    """What finds the last of a page. The first page has no bound below: one may have been moved to the least place."""
    page = f"SELECT id FROM audit_events WHERE {_within(bounds)} ORDER BY id LIMIT :limit"
    return Statement(f"SELECT max(id) FROM ({page}) AS page")


def _within(bounds: Sequence[str]) -> str:
    return " AND ".join(_BOUNDS[name] for name in bounds) or "1 = 1"


@cache
def _insert(rows: int) -> Statement:
    places = (f"({', '.join(f':{name}_{n}' for name in _COLUMNS)})" for n in range(rows))
    return Statement(
        f"INSERT INTO audit_events ({_LISTED}) VALUES {', '.join(places)} ON CONFLICT (writer, seq) DO NOTHING"
        " RETURNING seq"
    )


def _numbered(row: Row) -> tuple[int, Entry]:
    return row[0], Entry(*row[1:])
