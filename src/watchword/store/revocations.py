"""The table of revocations: which sessions ended before their time, numbered in the order of their commits.

Whoever has seen number 8 will never have to look for a 7: a number is taken only by the one whose turn it is, and the
turn lasts until the commit.
"""

from collections.abc import Sequence
from typing import Final

from watchword.errors import Unavailable
from watchword.model import Revocation
from watchword.store import turns
from watchword.store.connection import Connection, Row, Statement
from watchword.store.turns import Turn
from watchword.tokens import MAX_LIFETIME

_COLUMNS = "seq, session_id, revoked_at, expires_at"
_BATCH: Final = 500
"""Rows per statement; SQLite takes 32,766 parameters."""
_WITHOUT_TIMES: Final = (0, MAX_LIFETIME)

_LATEST = Statement("SELECT coalesce(max(seq), 0) FROM revocations")
_AFTER = Statement(f"SELECT {_COLUMNS} FROM revocations WHERE seq > :after ORDER BY seq LIMIT :limit")
# By `seq + 0`, which no index has: a walk in the order of the numbers passes all that are over, and these are kept a
# day longer. Numbers alone are sorted, so that it costs little where very many are living.
_LIVING = Statement(
    f"SELECT {_COLUMNS} FROM revocations WHERE seq IN"
    " (SELECT seq FROM revocations WHERE expires_at > :since ORDER BY seq + 0 LIMIT :limit) ORDER BY seq"
)
_OF_SESSION = Statement("SELECT 1 FROM revocations WHERE expires_at >= :until AND session_id = :session_id LIMIT 1")
_PURGE = Statement(
    "DELETE FROM revocations WHERE seq IN"
    " (SELECT seq FROM revocations WHERE expires_at <= :before ORDER BY expires_at LIMIT :limit"
    " /* PostgreSQL: FOR UPDATE SKIP LOCKED */) RETURNING seq"
)


async def take_turns(connection: Connection) -> None:
    """Wait until no other transaction that ends sessions is under way; others then wait for this one.

    To be called before the first session is touched: two that end the same sessions in another order would each wait
    for the other.
    """
    await turns.take(connection, Turn.REVOCATIONS)


async def is_announced(connection: Connection, *, session_id: str, until: int) -> bool:
    """Whether the end of a session is remembered until a time."""
    return bool(await connection.fetch(_OF_SESSION, session_id=session_id, until=until))


async def insert(connection: Connection, ended: Sequence[Row], *, now: int) -> list[Revocation]:
    """Announce the end of sessions, in the transaction that removes them and in its turn.

    Args:
        connection: the database.
        ended: of each session its id, and when the last of its access tokens expires.
        now: the time.

    Raises:
        Unavailable: the numbers begin again below those of rows, as in a logical replica: nobody would look there. Or
            a trigger of somebody's has dropped a row.
    """
    newest = await latest(connection) if ended else 0
    announced: list[Revocation] = []
    for start in range(0, len(ended), _BATCH):
        places, values = [], {}
        for number, (session_id, expires_at) in enumerate(ended[start : start + _BATCH]):
            row = {f"session_{number}": session_id, f"revoked_{number}": now, f"expires_{number}": expires_at}
            places.append(f"({', '.join(f':{name}' for name in row)})")
            values.update(row)
        statement = Statement(
            f"INSERT INTO revocations (session_id, revoked_at, expires_at) VALUES {', '.join(places)}"
            f" RETURNING {_COLUMNS}"
        )
        announced += [Revocation(*row) for row in await connection.fetch(statement, **values)]
    if len(announced) != len(ended):
        raise Unavailable("the database has not kept the end of a session; has it a trigger that drops rows?")
    if any(each.seq <= newest for each in announced):
        raise Unavailable("the database gives numbers below those of its rows; `watchword doctor` says more")
    return announced


async def after(connection: Connection, *, seq: int, limit: int) -> list[Revocation]:
    """Up to ``limit`` revocations behind a number, in their order."""
    return [_read(*row) for row in await connection.fetch(_AFTER, after=seq, limit=limit)]


async def latest(connection: Connection) -> int:
    """The newest number; 0 where there is none, and less than it was once the newest rows are removed."""
    ((number,),) = await connection.fetch(_LATEST)
    return int(number)


async def living(connection: Connection, *, since: int, limit: int) -> tuple[int, list[Revocation]]:
    """The oldest revocations, up to ``limit``, of sessions that may still have an access token at a time.

    Returns:
        The number to go on from with ``after``, and them.
    """
    newest = await latest(connection)  # first: what is committed meanwhile is asked for again
    page = [_read(*row) for row in await connection.fetch(_LIVING, since=since, limit=limit)]
    return newest if len(page) < limit else page[-1].seq, page


async def purge(connection: Connection, *, before: int, limit: int) -> int:
    """Remove up to ``limit`` revocations whose last token had expired at a time, and tell how many."""
    return len(await connection.fetch(_PURGE, before=before, limit=limit))


def is_without_times(revocation: Revocation) -> bool:
    """Whether somebody else has written it with times that are none, as SQLite stores them."""
    return (revocation.revoked_at, revocation.expires_at) == _WITHOUT_TIMES


def _read(seq: int, session_id: str, revoked_at: object, expires_at: object) -> Revocation:
    """One without times must not hide the others: it counts for as long as any token may live."""
    if isinstance(revoked_at, int) and isinstance(expires_at, int):
        return Revocation(seq, session_id, revoked_at, expires_at)
    return Revocation(seq, session_id, *_WITHOUT_TIMES)
