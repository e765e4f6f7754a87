"""What is remembered: the one way into the database, SQLite or PostgreSQL, for all that is SQL.

A ``Store`` lends connections: one to read with, or one inside a transaction to write with. The functions beside
this file, one file per table, take such a connection first, run one statement and return values of ``model``.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar, Final, Literal, Self, TypeVar

from watchword.store.connection import Connection

T = TypeVar("T")

PATIENCE: Final = 2.0
"""Seconds to wait for a connection or a lock before the caller is told that the database is unavailable."""

Observer = Callable[[str, float], None]
"""Is told ``read`` or ``write`` and the seconds from asking for a connection to having done with it."""

_log = logging.getLogger(__name__)


def nobody_looks(_kind: str, _seconds: float) -> None:
    """The observer where there is none."""


class Store(ABC):
    """A database to read from and write to, once it is open.

    All that runs on it may raise ``Unavailable``: the database is away, slow or locked.
    """

    dialect: ClassVar[Literal["sqlite", "postgresql"]]

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._writes: set[asyncio.Task[object]] = set()

    @abstractmethod
    async def open(self) -> Self:
        """Take connections.

        Raises:
            Unavailable: the database cannot be reached.
        """

    async def close(self) -> None:
        """Let the writes under way end and give all connections back."""
        if self._writes:
            await asyncio.wait(self._writes)
        await self._release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Lend a connection for reading."""
        started = time.perf_counter()
        try:
            async with self._reading() as connection:
                yield connection
        finally:
            self._observe("read", time.perf_counter() - started)

    async def write(self, story: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a story inside one write transaction; all of it happens, or nothing.

        The transaction has a task of its own: a caller who is cancelled, as the handler of a client that hangs up
        is, neither tears it apart nor leaves its connection behind.
        """
        task = asyncio.ensure_future(self._timed(story))
        self._writes.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection."""

    @abstractmethod
    async def _transact(self, story: Callable[[Connection], Awaitable[T]]) -> T:
        """Begin, run the story, commit; roll back whatever goes wrong."""

    @abstractmethod
    async def _release(self) -> None:
        """Give the connections back."""

    async def _timed(self, story: Callable[[Connection], Awaitable[T]]) -> T:
        started = time.perf_counter()
        try:
            return await self._transact(story)
        finally:
            self._observe("write", time.perf_counter() - started)

    def _finished(self, task: "asyncio.Task[object]") -> None:
        self._writes.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.debug("a write failed: %s", type(task.exception()).__name__)  # its caller, if still there, tells more


def store_at(url: str, *, observe: Observer = nobody_looks) -> Store:
    """The store for a ``sqlite:///`` or ``postgresql://`` URL, not yet open.

    Args:
        url: where the database is.
        observe: is told of each read and write, and how long it took.
    """
    # Each driver is imported only where it is used: asyncpg is an extra.
    if url.startswith("sqlite:"):
        from watchword.store.sqlite import SqliteStore

        return SqliteStore(url, observe=observe)
    from watchword.store.postgresql import PostgresqlStore

    return PostgresqlStore(url, observe=observe)
