"""Checkpoints of an SQLite file: what was committed is moved from its log into it, in a thread of their own.

By itself SQLite does that at the end of a commit, once its log has a thousand pages. It writes them all then and waits
for the disk twice, and everybody waits with it; with many users, each of whose logins touches pages of its own, that is
several times a second. Nobody waits for a passive checkpoint beside the writer. But the log begins anew only where one
has left nothing in it, for which there may be no moment while many write: SQLite's own is left for that case, and finds
little to do then (https://sqlite.org/wal.html §3.3).
"""

import asyncio
import sqlite3
from contextlib import suppress
from typing import Final

from watchword.errors import Unavailable
from watchword.store.lanes import Lane, ReadingConnection, TunedConnection

_ROWS: Final = 500
"""Written since the last checkpoint, a login being five: some hundreds of pages."""
_WRAP: Final = 1 << 32


class Checkpoints:
    """Begins them.

    Args:
        lane: one thread.
    """

    def __init__(self, lane: Lane[ReadingConnection]) -> None:
        self._lane = lane
        self._rows = 0
        self._is_under_way = False

    def see(self, rows: int) -> None:
        """Begin one, where enough was written since the last.

        Args:
            rows: how many the process has written so far, as SQLite counts them, in 32 bits.
        """
        if (rows - self._rows) % _WRAP < _ROWS or self._is_under_way:
            return
        with suppress(Unavailable):  # the store is being closed, and SQLite does it then
            self._lane.run(_checkpoint).add_done_callback(self._done)
            self._rows = rows
            self._is_under_way = True

    def _done(self, _: "asyncio.Future[None]") -> None:
        self._is_under_way = False


def _checkpoint(connection: TunedConnection) -> None:
    with suppress(sqlite3.Error):  # the disk is full, say: all is in the log, and the next one tries again
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
