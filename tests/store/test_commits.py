"""Writes that wait at the same time on SQLite: one commit for all of them, and no writer pays for another's failure."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_user
from watchword.errors import Unavailable, UserExists
from watchword.store import Store, store_at, users
from watchword.store.connection import Connection, Statement
from watchword.store.lanes import WritingConnection

UNDO_EVERYTHING = Statement("INSERT OR ROLLBACK INTO users SELECT * FROM users LIMIT 1")
"""Ends the transaction as a full disk does."""
BREAK_AT_THE_COMMIT = Statement("PRAGMA defer_foreign_keys = ON")
LOSE_THE_SAVEPOINT = Statement("RELEASE story")
AN_ORPHAN = Statement(
    "INSERT INTO sessions SELECT 'orphan', 'nobody', 0, 0, x'00', 0, 0, 0, 0, 1, '', '' FROM users LIMIT 1"
)


class Failure(Exception):
    """Raised in the middle of a story."""


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Store]:
    """An open store with one user in it."""
    store = await store_at(sqlite_url).open()
    await add(store, "first")
    yield store
    await store.close()


def adding(connection: Connection, name: str) -> Coroutine[Any, Any, None]:
    """The story of a new user."""
    return users.insert(connection, a_user(name))


async def add(store: Store, name: str) -> None:
    """Put a user into the table."""
    await store.write(partial(adding, name=name))


async def names(store: Store) -> set[str]:
    """Who is in the table."""
    rows = await store.read(lambda connection: connection.fetch(Statement("SELECT username FROM users")))
    return {name for (name,) in rows}


@asynccontextmanager
async def one_commit(store: Store) -> AsyncIterator[None]:
    """What is begun inside is done together, once it is left."""
    release = threading.Event()

    async def hold(_: Connection) -> None:
        release.wait()

    holding = asyncio.create_task(store.write_one(hold))
    await asyncio.sleep(0.05)
    yield
    await asyncio.sleep(0.05)
    release.set()
    await holding


async def outcomes(store: Store, *writes: Coroutine[Any, Any, Any]) -> list[object]:
    """How writes end that are done together."""
    async with one_commit(store):
        tasks = [asyncio.create_task(write) for write in writes]
    done: list[object] = await asyncio.gather(*tasks, return_exceptions=True)
    return done


def commits(url: str) -> int:
    """Commits in the write-ahead log, of which each last frame tells the file's size (SQLite file format, 4.1)."""
    log = Path(f"{url.removeprefix('sqlite:///')}-wal").read_bytes()
    page_size = int.from_bytes(log[8:12])
    return sum(any(log[frame + 4 : frame + 8]) for frame in range(32, len(log), 24 + page_size))


async def test_they_are_one_commit(store: Store, sqlite_url: str) -> None:
    """Twenty writes of either kind are committed once, and all are there."""
    before = commits(sqlite_url)
    kinds = (store.write, store.write_one)
    writes = [kinds[number % 2](partial(adding, name=f"user{number}")) for number in range(20)]
    assert await outcomes(store, *writes) == [None] * 20
    assert commits(sqlite_url) == before + 1
    assert await names(store) == {"first", *(f"user{number}" for number in range(20))}


async def test_a_failure_is_its_own(store: Store) -> None:
    """A story that fails is undone and told why; those before and after it are committed."""

    async def half(connection: Connection) -> None:
        await adding(connection, "half")
        raise Failure

    told = await outcomes(store, add(store, "a"), store.write(half), add(store, "first"), add(store, "b"))
    assert [type(each) for each in told] == [type(None), Failure, UserExists, type(None)]
    assert await names(store) == {"first", "a", "b"}


async def test_what_stands_by_itself_stays_when_its_story_fails(store: Store) -> None:
    """``write_one`` makes no transaction of a story, whether it is alone or with others."""

    async def half(connection: Connection, name: str) -> None:
        await adding(connection, name)
        raise Failure

    with pytest.raises(Failure):
        await store.write_one(partial(half, name="alone"))
    told = await outcomes(store, add(store, "a"), store.write_one(partial(half, name="together")))
    assert [type(each) for each in told] == [type(None), Failure]
    assert await names(store) == {"first", "alone", "a", "together"}


async def test_nobody_is_told_of_what_was_undone(store: Store) -> None:
    """If SQLite gives the transaction up, those before are told that nothing happened, and those after are done."""

    async def undo(connection: Connection) -> None:
        await connection.fetch(UNDO_EVERYTHING)

    told = await outcomes(store, add(store, "before"), store.write(undo), add(store, "after"))
    assert [type(each) for each in told] == [Unavailable, sqlite3.IntegrityError, type(None)]
    assert await names(store) == {"first", "after"}


async def test_a_commit_that_fails_fails_for_all(store: Store) -> None:
    """Nothing of it is there, nobody is told anything else, and the store goes on working."""

    async def orphan(connection: Connection) -> None:
        await connection.fetch(BREAK_AT_THE_COMMIT)
        await connection.fetch(AN_ORPHAN)

    told = await outcomes(store, add(store, "a"), store.write(orphan), add(store, "b"))
    assert [type(each) for each in told] == [Unavailable] * 3
    assert await names(store) == {"first"}
    await add(store, "later")
    assert await names(store) == {"first", "later"}


async def test_a_story_that_cannot_be_undone_alone_is_undone_with_all(store: Store) -> None:
    """As when there is no memory for its savepoint: all are told, nobody waits for ever, and no lock stays behind."""

    async def stuck(connection: Connection) -> None:
        await adding(connection, "half")
        await connection.fetch(LOSE_THE_SAVEPOINT)
        raise Failure

    async with asyncio.timeout(4):
        told = await outcomes(store, add(store, "a"), store.write(stuck), add(store, "b"))
    assert [type(each) for each in told] == [Unavailable, Failure, Unavailable]
    await add(store, "later")
    assert await names(store) == {"first", "later"}


def run_out(*_: object, **_values: object) -> None:
    """Do what SQLite has no memory for."""
    raise MemoryError


async def out_of_memory(_: Connection) -> None:
    """The story of that."""
    run_out()


async def test_want_of_memory_is_told_and_leaves_no_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which Python's sqlite3 raises as no error of its own: at the commit, and where even undoing needs some."""

    async def exhaust(connection: Connection) -> None:
        await adding(connection, "lost")
        monkeypatch.setattr(WritingConnection, "execute", run_out)
        monkeypatch.setattr(WritingConnection, "rollback", run_out)

    async with asyncio.timeout(4):
        told = await outcomes(store, add(store, "a"), store.write(exhaust))
        assert [type(each) for each in told] == [Unavailable, Unavailable]
        assert [str(each) for each in told] == ["the database answers: MemoryError"] * 2
        monkeypatch.undo()
        await add(store, "later")
        assert await names(store) == {"first", "later"}
        for use in (store.read, store.write):
            with pytest.raises(Unavailable, match="MemoryError"):
                await use(out_of_memory)


async def test_what_follows_a_commit_follows_it_for_each(store: Store, sqlite_url: str) -> None:
    """Whoever is told can see the rows from elsewhere, in the order in which the stories came."""
    seen = []

    def look(name: str, _: None) -> None:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as onlooker:
            seen.append((name, *onlooker.execute("SELECT username FROM users WHERE username = ?", (name,)).fetchone()))

    writes = (store.write(partial(adding, name=name), then=partial(look, name)) for name in "abc")
    assert await outcomes(store, *writes) == [None] * 3
    assert seen == [(name, name) for name in "abc"]
