"""Turns: what one transaction at a time may do on PostgreSQL. SQLite's writers take turns anyway."""

from enum import Enum, unique
from typing import Final

from watchword.store.connection import Connection, Statement


@unique
class Turn(Enum):
    """What is done in turns, with the key of its advisory lock: any number that no other lock in the database has.

    Processes of two versions must take turns too, so a key stays as it is. 0x77617463 is that of migrations, ``LOCK``
    in ``alembic/env.py``.

    Attributes:
        REVOCATIONS: sessions are ended.
        SIGNING_KEYS: signing keys are changed.
        AUDIT: audit events are written, or old ones removed.
    """

    REVOCATIONS = 2003136117
    SIGNING_KEYS = 2003136118
    AUDIT = 2003136119


_TAKE: Final = {
    turn: Statement(f"SELECT 1 /* PostgreSQL: FROM pg_advisory_xact_lock({turn.value}) */") for turn in Turn
}


async def take(connection: Connection, turn: Turn) -> None:
    """Wait until no other transaction has this turn; others then wait until this one is committed or rolled back."""
    await connection.fetch(_TAKE[turn])
