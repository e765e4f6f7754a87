"""SQLite: a few held readers and one held writer per process, in WAL mode.

``databases`` opens a connection, and with it a thread, for every query; so each connection here is a ``Database`` of
its own that is taken once and kept. One writer per process leaves no lock to fight over inside the process; between
processes BEGIN IMMEDIATE waits its turn.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import databases

from watchword.errors import Unavailable
from watchword.store import PATIENCE, Observer, Store
from watchword.store.connection import Connection, Row, Statement

T = TypeVar("T")

_READERS: Final = 2


class SqliteStore(Store):
    """A store in one file on this machine."""

    dialect = "sqlite"

    def __init__(self, url: str, *, observe: Observer) -> None:
        super().__init__(observe)
        self._url = url
        self._path = Path(databases.DatabaseURL(url).database)
        self._held = AsyncExitStack()
        self._readers: asyncio.LifoQueue[_SqliteConnection] = asyncio.LifoQueue()
        self._writer: asyncio.LifoQueue[_SqliteConnection] = asyncio.LifoQueue()

    async def open(self) -> Self:
        """Take the readers and the writer."""
        self._try_to_open()
        try:
            for _ in range(_READERS):
                self._readers.put_nowait(await self._hold(_ReadingConnection))
            self._writer.put_nowait(await self._hold(_WritingConnection))
        except BaseException:
            await self._release()  # a held connection has a thread that would keep the process from ending
            raise
        return self

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with _borrowed(self._readers) as connection:
            with _translated():
                yield connection

    async def _transact(self, story: Callable[[Connection], Awaitable[T]]) -> T:
        async with _borrowed(self._writer) as connection:
            with _translated():
                try:
                    await connection.fetch(_BEGIN)
                    result = await story(connection)
                    await connection.fetch(_COMMIT)
                except BaseException:
                    # Unasked: a BEGIN whose awaiter was cancelled may still be queued in the connection's thread.
                    # The rollback queues behind it, and outside a transaction does nothing.
                    await asyncio.shield(connection.raw.rollback())
                    raise
                return result

    async def _release(self) -> None:
        self._readers, self._writer = asyncio.LifoQueue(), asyncio.LifoQueue()
        await self._held.aclose()

    def _try_to_open(self) -> None:
        # Here, for a connection that fails to open in a thread of its own may outlive the event loop, with a traceback.
        with _translated():
            if not self._path.exists():  # SQLite would make an empty file and call it a database
                raise Unavailable(f"there is no database at {self._path}; run `watchword init`")
            for factory in (_ReadingConnection, _WritingConnection):
                sqlite3.connect(self._path, factory=factory).close()

    async def _hold(self, factory: type[sqlite3.Connection]) -> "_SqliteConnection":
        database = databases.Database(self._url, factory=factory)
        await database.connect()
        self._held.push_async_callback(database.disconnect)
        with _translated():
            connection = await self._held.enter_async_context(database.connection())
        return _SqliteConnection(connection.raw_connection)


class _SqliteConnection:
    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def fetch(self, statement: Statement, /, **values: object) -> list[Row]:
        return list(await self.raw.execute_fetchall(statement.named, values))


_BEGIN: Final = Statement("BEGIN IMMEDIATE")  # a lock taken later, between a read and a write, fails at once when busy
_COMMIT: Final = Statement("COMMIT")


class _TunedConnection(sqlite3.Connection):
    pragmas: tuple[str, ...] = (f"busy_timeout={int(PATIENCE * 1000)}", "foreign_keys=ON")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for pragma in self.pragmas:
            self.execute(f"PRAGMA {pragma}")


class _ReadingConnection(_TunedConnection):
    pragmas = (*_TunedConnection.pragmas, "query_only=ON")


class _WritingConnection(_TunedConnection):
    pragmas = (*_TunedConnection.pragmas, "synchronous=NORMAL")  # under WAL a killed process loses nothing


@asynccontextmanager
async def _borrowed(queue: "asyncio.LifoQueue[_SqliteConnection]") -> AsyncIterator[_SqliteConnection]:
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await queue.get()
    except TimeoutError:
        raise Unavailable("all connections to the database are busy") from None
    try:
        yield connection
    finally:
        queue.put_nowait(connection)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except (sqlite3.DatabaseError, OSError) as fault:
        raise Unavailable(f"the database answers: {fault}") from fault
