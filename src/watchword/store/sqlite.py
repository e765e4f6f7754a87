"""SQLite: a few threads with a connection each for reading, one for writing, in WAL mode.

A story is handed over to a thread once, runs there from beginning to end on the plain ``sqlite3`` connection, and its
result is handed back. That is what makes it cheap: an indexed look-up takes some microseconds, and each hand-over
between threads many times that. One writer leaves no lock to fight over inside the process; between processes
BEGIN IMMEDIATE waits its turn.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from watchword.errors import Unavailable
from watchword.store import PATIENCE, Observer, Store, Story
from watchword.store.connection import Row, Statement
from watchword.threads import Threads

T = TypeVar("T")

_READERS: Final = 2
_MEANWHILE: Final = 0.1
"""Seconds in a queue that are worth taking off the wait for a lock."""


class SqliteStore(Store):
    """A store in one file on this machine."""

    dialect = "sqlite"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._path = Path(url.removeprefix("sqlite:///"))
        self._readers = _Lane(self._path, _ReadingConnection, count=_READERS)
        self._writer = _Lane(self._path, _WritingConnection, count=1)

    async def open(self) -> Self:
        """See that the file is there and is a database; the threads begin when they are needed."""
        with _translated():
            if not self._path.exists():  # SQLite would make an empty file and call it a database
                raise Unavailable(f"there is no database at {self._path}; run `watchword init`")
            for factory in (_ReadingConnection, _WritingConnection):
                _connect(self._path, factory).close()
        return self

    def _begin_read(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._readers.run(_told, story)

    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._writer.run(_told_in_a_transaction, story)

    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        return self._writer.run(_told, story)

    async def _release(self) -> None:
        await asyncio.gather(self._readers.close(), self._writer.close())


class _Lane:
    """Threads that have a connection each."""

    def __init__(self, path: Path, factory: type["_TunedConnection"], *, count: int) -> None:
        self._path = path
        self._factory = factory
        self._own = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._threads = Threads(count, name="sqlite")
        self._is_closed = False

    def run(self, tell: "Callable[[_TunedConnection, Story[T]], T]", story: Story[T]) -> "asyncio.Future[T]":
        if self._is_closed:  # its threads are gone, and nobody would ever answer
            raise Unavailable("the database was closed")
        deadline = time.monotonic() + PATIENCE

        def job() -> T:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("all connections to the database are busy")
            with _translated():
                connection = self._connection()
                connection.wait_for_locks(left)
                return tell(connection, story)

        return self._threads.run(job)

    async def close(self) -> None:
        self._is_closed = True
        await asyncio.to_thread(self._threads.close)
        for connection in self._open:
            connection.close()

    def _connection(self) -> "_TunedConnection":
        connection: _TunedConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = _connect(self._path, self._factory)
            self._open.append(connection)
        return connection


class _TunedConnection(sqlite3.Connection):
    """Also the ``Connection`` of a story, whose statements it runs at once."""

    pragmas: tuple[str, ...] = ("foreign_keys=ON",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waits = PATIENCE
        for pragma in self.pragmas:
            self.execute(f"PRAGMA {pragma}")

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        return self.execute(statement.named, values).fetchall()

    def wait_for_locks(self, seconds: float) -> None:
        """Wait no longer than what the queue has left of PATIENCE."""
        if abs(seconds - self._waits) > _MEANWHILE:
            self.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
            self._waits = seconds


class _ReadingConnection(_TunedConnection):
    pragmas = (*_TunedConnection.pragmas, "query_only=ON")


class _WritingConnection(_TunedConnection):
    pragmas = (*_TunedConnection.pragmas, "synchronous=NORMAL")  # under WAL a killed process loses nothing


def _connect(path: Path, factory: type[_TunedConnection]) -> _TunedConnection:
    # Each is used by one thread, but closed by another when the store closes.
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, factory=factory)


def _told(connection: _TunedConnection, story: Story[T]) -> T:
    """Run a story to its end: as its connection never makes it wait, it needs no event loop.

    Raises:
        RuntimeError: it awaits something else, which could never come here.
    """
    telling = story(connection)
    try:
        telling.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    telling.close()
    raise RuntimeError("a story may await nothing but its connection")


def _told_in_a_transaction(connection: _TunedConnection, story: Story[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")  # a lock taken later, between a read and a write, fails at once when busy
    try:
        result = _told(connection, story)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return result


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.DatabaseError, OSError) as fault:
        raise Unavailable(f"the database answers: {fault}") from fault
