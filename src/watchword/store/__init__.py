"""What is remembered: the one way into the database, SQLite or PostgreSQL, for all that is SQL.

A ``Store`` runs stories: functions that take a connection and await nothing else. One that reads, one that writes
inside a transaction, or one of which a single statement writes, which is a transaction by itself.

Beside this file there is one per table (``audit``, ``clients``, ``revocations``, ``sessions``, ``signing_keys``,
``tallies``, ``users``), whose functions take such a connection first. The others are no tables: ``schema``,
``migrations`` and ``inspection`` say what a database must be; ``connection`` is how either kind runs SQL,
``postgresql`` the one kind, and ``sqlite`` the other, with ``sqlite_file``, ``lanes``, ``commits`` and ``checkpoints``.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, ClassVar, Final, Literal, Self, TypeVar

from watchword.store.connection import Connection

T = TypeVar("T")

Story = Callable[[Connection], Coroutine[Any, Any, T]]
"""What to do with a connection. It awaits the connection alone, for on SQLite it runs in the connection's thread."""

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
        self._writes: set[asyncio.Future[Any]] = set()

    @abstractmethod
    async def open(self) -> Self:
        """Take connections.

        Raises:
            Unavailable: the database cannot be reached.
            SchemaRefused: it is reached by what drops our settings for the connection.
        """

    async def close(self) -> None:
        """Let the writes under way end and give all connections back."""
        await self.settle()
        await self._release()

    async def settle(self) -> None:
        """Let the writes under way end, those included whose callers have gone."""
        if self._writes:
            await asyncio.wait(self._writes)

    async def read(self, story: Story[T]) -> T:
        """Run a story that changes nothing."""
        return await self._observed(self._begin_read, story)

    async def watch(self, story: Story[T]) -> T:
        """As ``read``, for what the service itself must know in time: it does not wait behind what people ask for."""
        return await self._observed(self._begin_watch, story)

    async def write(
        self,
        story: Story[T],
        *,
        then: Callable[[T], None] | None = None,
        otherwise: Callable[[BaseException], None] | None = None,
    ) -> T:
        """Run a story inside one write transaction; all of it happens, or nothing.

        The transaction outlives its caller: one who is cancelled, as the handler of a client that hangs up is,
        neither tears it apart nor leaves its connection behind.

        Args:
            story: what to do.
            then: is called with its result once that is committed, whether or not the caller is still there.
            otherwise: is called with what went wrong, likewise.
        """
        return await self._outliving(self._begin_write(story), then, otherwise)

    async def write_one(self, story: Story[T]) -> T:
        """As ``write``, for a story of which one statement writes, and others may read before it.

        The database makes a transaction of each by itself, so what was read may be old when it is written: the
        statement that writes must say under which conditions.
        """
        return await self._outliving(self._begin_write_one(story))

    @abstractmethod
    def _begin_read(self, story: Story[T]) -> Awaitable[T]:
        """Begin a read."""

    @abstractmethod
    def _begin_watch(self, story: Story[T]) -> Awaitable[T]:
        """Begin a read of the service's own, on connections that nothing else takes."""

    @abstractmethod
    def _begin_write(self, story: Story[T]) -> "asyncio.Future[T]":
        """Begin a transaction: the story, then commit; roll back whatever goes wrong."""

    @abstractmethod
    def _begin_write_one(self, story: Story[T]) -> "asyncio.Future[T]":
        """Begin the story of one statement that writes."""

    @abstractmethod
    async def _release(self) -> None:
        """Give the connections back."""

    async def _observed(self, begin: Callable[[Story[T]], Awaitable[T]], story: Story[T]) -> T:
        started = time.perf_counter()
        try:
            return await begin(story)
        finally:
            self._observe("read", time.perf_counter() - started)

    async def _outliving(
        self,
        writing: "asyncio.Future[T]",
        then: Callable[[T], None] | None = None,
        otherwise: Callable[[BaseException], None] | None = None,
    ) -> T:
        started = time.perf_counter()
        self._writes.add(writing)
        writing.add_done_callback(self._finished)
        if then is not None or otherwise is not None:
            writing.add_done_callback(partial(_go_on, then, otherwise))  # before the caller, who is called back later
        try:
            return await asyncio.shield(writing)
        finally:
            self._observe("write", time.perf_counter() - started)

    def _finished(self, writing: "asyncio.Future[Any]") -> None:
        self._writes.discard(writing)
        if not writing.cancelled() and writing.exception() is not None:
            _log.debug(
                "a write failed: %s", type(writing.exception()).__name__
            )  # its caller, if still there, tells more


def _go_on(
    then: Callable[[T], None] | None,
    otherwise: Callable[[BaseException], None] | None,
    writing: "asyncio.Future[T]",
) -> None:
    if writing.cancelled():
        return
    fault = writing.exception()
    if fault is None and then is not None:
        then(writing.result())
    if fault is not None and otherwise is not None:
        otherwise(fault)


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
