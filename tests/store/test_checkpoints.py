"""Checkpoints of an SQLite file: beside the writer, early, and bounded though writers leave no moment for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.builders import a_user
from watchword.store import Store, store_at, users
from watchword.store.checkpoints import Checkpoints
from watchword.store.connection import Connection
from watchword.store.lanes import Lane, ReadingConnection

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a test gives up on what should have happened; nothing is measured with it."""
A_MEGABYTE = 1 << 20


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """The file."""
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Store]:
    """An open store."""
    store = await store_at(sqlite_url).open()
    yield store
    await store.close()


def size(path: Path, suffix: str = "") -> int:
    """Bytes of the file, or of one beside it."""
    return Path(f"{path}{suffix}").stat().st_size


async def add(store: Store, name: str, *, times: int) -> None:
    """Write so many users in one transaction."""

    async def insert(connection: Connection) -> None:
        for number in range(times):
            await users.insert(connection, user=a_user(f"{name}{number}"))

    await store.write(insert)


async def test_what_was_committed_is_moved_long_before_a_writer_would(store: Store, path: Path) -> None:
    """Less than the thousand pages at which SQLite does it by itself, in the commit, while everybody waits."""
    before = size(path)
    await add(store, "user", times=600)
    assert size(path, "-wal") < 2 * A_MEGABYTE
    async with asyncio.timeout(PATIENCE):
        while size(path) == before:
            await asyncio.sleep(0.01)


async def test_whatever_comes_of_one_writers_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed is told before a checkpoint is begun, which may fail."""

    def fail(_checkpoints: Checkpoints, _rows: int) -> None:
        raise MemoryError

    monkeypatch.setattr(Checkpoints, "see", fail)
    async with asyncio.timeout(PATIENCE):
        await add(store, "user", times=1)


async def test_they_go_on_when_the_count_of_rows_wraps() -> None:
    """SQLite counts in 32 bits with a sign, which a busy service has filled within months."""
    begun = []

    class Counting(Lane[ReadingConnection]):
        def run(self, job: Callable[[ReadingConnection], T]) -> "asyncio.Future[T]":
            begun.append(job)
            future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            future.cancel()
            return future

    checkpoints = Checkpoints(Counting(Path(), ReadingConnection, count=1))
    for rows in (*range(2**31 - 2000, 2**31, 500), *range(-(2**31), -(2**31) + 2000, 500)):
        checkpoints.see(rows)
        await asyncio.sleep(0)
    assert len(begun) == 8


async def test_the_log_stays_small_though_writers_never_stop(store: Store, path: Path) -> None:
    """Where one transaction follows another it has no more than the pages beyond which the writer moves them."""
    for start in range(0, 40, 4):
        await asyncio.gather(*(add(store, f"user{number}.", times=500) for number in range(start, start + 4)))
    assert size(path) > A_MEGABYTE
    assert size(path, "-wal") < 60 * A_MEGABYTE
    assert await store.read(partial(users.find_by_name, canonical_name="user39.499")) is not None
