"""Lanes to an SQLite file: threads with a connection each, to which a job is handed over once and runs to its end.

That is what makes it cheap: an indexed look-up takes some microseconds, and each hand-over between threads many times
that. So a story runs on the plain ``sqlite3`` connection, whose statements are done when they are called.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from watchword.errors import Locked, Unavailable
from watchword.store import PATIENCE, Story
from watchword.store.connection import Row, Statement
from watchword.threads import Threads

T = TypeVar("T")
C = TypeVar("C", bound="TunedConnection")

KIND_OF_CODE: Final = 0xFF
"""The part of an extended error code that tells the kind."""
_MEANWHILE: Final = 0.1
"""Seconds in a queue that are worth taking off the wait for a lock."""


class TunedConnection(sqlite3.Connection):
    """Also the ``Connection`` of a story, whose statements it runs at once."""

    # What undoes a story is kept in memory, not in a file: there may be no folder, room or descriptor for one.
    pragmas: tuple[str, ...] = ("foreign_keys=ON", "temp_store=MEMORY")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for pragma in self.pragmas:
            self.execute(f"PRAGMA {pragma}")

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        """Run a statement and return its rows."""
        return self.execute(statement.named, values).fetchall()

    def tell(self, story: Story[T]) -> T:
        """Run a story to its end: as its connection never makes it wait, it needs no event loop.

        Raises:
            RuntimeError: it awaits something else, which could never come here.
        """
        telling = story(self)
        try:
            telling.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        telling.close()
        raise RuntimeError("a story may await nothing but its connection")


class ReadingConnection(TunedConnection):
    """One that changes nothing."""

    # The last one reads the file: that opens its log too, and says whether it is a database.
    pragmas = (*TunedConnection.pragmas, "query_only=ON", "schema_version")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waits = PATIENCE

    def wait_for_locks(self, seconds: float) -> None:
        """Wait no longer than what the queue has left of PATIENCE."""
        if abs(seconds - self._waits) > _MEANWHILE:
            self.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
            self._waits = seconds


class WritingConnection(TunedConnection):
    """One that writes. It finds a lock taken at once: how to wait for it is for who began the transaction to know."""

    # Under WAL a killed process loses nothing. Its pages are for ``checkpoints`` to move, or, if many are left, for us.
    pragmas = (*TunedConnection.pragmas, "synchronous=NORMAL", "wal_autocheckpoint=10000")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_in_wal_mode = False
        self.go_into_wal_mode()
        self.execute("PRAGMA schema_version")  # a read, which opens the log
        self.execute("PRAGMA busy_timeout=0")  # last, as others read the file

    def go_into_wal_mode(self) -> None:
        """Put the file into WAL mode, unless that was done: without it readers and the writer shut each other out.

        The file keeps it, but VACUUM INTO and a dump do not hand it on. A file that takes no writes is left as it is,
        and so is one that somebody reads or writes just now, until the next transaction begins.
        """
        if not self._is_in_wal_mode:
            with suppress(sqlite3.OperationalError):
                self.execute("PRAGMA journal_mode=WAL")
                self._is_in_wal_mode = True


class Lane(Generic[C]):
    """Threads that have a connection each.

    Args:
        path: to the file.
        factory: what makes the connections.
        count: how many.
    """

    def __init__(self, path: Path, factory: type[C], *, count: int) -> None:
        self._path = path
        self._factory = factory
        self._own = threading.local()
        self._open: list[C] = []
        self._free: list[C] = []
        self._count = count
        self._threads = Threads(count, name="sqlite")
        self._is_closed = False

    def open(self) -> None:
        """Open a connection for each thread and start it: later there may be no descriptor or no room left for one.

        Raises:
            sqlite3.DatabaseError: the file is no database, or cannot be opened; some connections may be open.
            Unavailable: there is no room for a thread; the same.
        """
        for _ in range(self._count):
            self._open.append(connect(self._path, self._factory))
        self._free = self._open.copy()
        try:
            self._threads.start()
        except RuntimeError as fault:
            raise Unavailable(f"the database needs a thread: {fault}") from fault

    def run(self, job: Callable[[C], T]) -> "asyncio.Future[T]":
        """Hand a job over."""
        if self._is_closed:  # its threads are gone, and nobody would ever answer
            raise Unavailable("the database was closed")
        return self._threads.run(lambda: job(self._connection()))

    async def close(self) -> None:
        """Drop what waits and close the connections."""
        self._is_closed = True
        await asyncio.to_thread(self._threads.close)
        for connection in self._open:
            connection.close()

    def _connection(self) -> C:
        connection: C | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._free.pop()
        return connection


def connect(path: Path, factory: type[C]) -> C:
    """Open a connection, which one thread uses, and others open and close."""
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, factory=factory)


@contextmanager
def translated() -> Iterator[None]:
    """Let the driver's errors mean what errors of every database mean."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.DatabaseError, OSError, MemoryError) as fault:  # the last for SQLITE_NOMEM, and without a message
        is_locked = getattr(fault, "sqlite_errorcode", 0) & KIND_OF_CODE == sqlite3.SQLITE_BUSY
        said = str(fault) or type(fault).__name__
        raise (Locked if is_locked else Unavailable)(f"the database answers: {said}") from fault
