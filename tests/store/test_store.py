"""Both stores keep the same promises: the same functions give the same results on SQLite and on PostgreSQL."""

import asyncio
import gc
import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.builders import a_session, a_user
from tests.faults.proxy import Proxy
from tests.postgresql import isolate, take_no_writes
from watchword.errors import Unavailable, Unconfirmed, UnknownUser, UserExists
from watchword.identifiers import new_id
from watchword.model import SealedKey, User
from watchword.store import PATIENCE, Store, migrations, postgresql, sessions, signing_keys, store_at, users
from watchword.store.connection import Connection, Statement

COUNT_USERS = Statement("SELECT count(*) FROM users")
COUNT_SESSIONS = Statement("SELECT count(*) FROM sessions")
OUR_BACKENDS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'watchword' AND datname = current_database()"
)
A_WHILE = Statement(
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) SELECT count(*) FROM n"
)


async def add(store: Store, *rows: User) -> None:
    """Put users into the table."""
    await store.write(lambda connection: users.insert_many(connection, rows))


async def register(store: Store, user: User) -> None:
    """Put one user into the table, or be told that the name is taken."""
    await store.write(lambda connection: users.insert(connection, user))


async def keep(store: Store, key: SealedKey) -> None:
    """Put a signing key into the table."""
    await store.write(lambda connection: signing_keys.insert(connection, key))


async def find(store: Store, name: str) -> User | None:
    """Look a user up."""
    return await store.read(lambda connection: users.find_by_name(connection, canonical_name=name))


async def count(store: Store, statement: Statement) -> int:
    """Run a counting statement."""
    ((number,),) = await store.read(lambda connection: connection.fetch(statement))
    return int(number)


@asynccontextmanager
async def somebody_holding_the_lock(url: str) -> AsyncIterator[None]:
    """Another process in the midst of a write to the row of alice."""
    update = "UPDATE users SET disabled_at = 1 WHERE canonical_name = 'alice'"
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(update)
            yield
            connection.execute("ROLLBACK")
    else:
        holder = await asyncpg.connect(url)
        async with holder.transaction():
            await holder.execute(update)
            yield
        await holder.close()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process, when it cannot open anything any more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    with ExitStack() as taken:
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        with suppress(OSError):
            while True:
                taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


async def test_an_open_file_is_open_for_all_that_is_to_come(sqlite_url: str) -> None:
    """SQLite's connections, their log included, are there before there is no descriptor left for another."""
    store = await store_at(sqlite_url).open()
    try:
        with no_descriptor_left():
            await asyncio.gather(*(count(store, A_WHILE) for _ in range(4)))
            assert await store.watch(partial(users.find_by_name, canonical_name="alice")) is None
            await register(store, a_user("alice"))
            assert await find(store, "alice") is not None
    finally:
        await store.close()


async def test_a_large_write_needs_no_file_of_its_own(sqlite_url: str) -> None:
    """What SQLite keeps to undo a story is in memory: where there is no folder that takes a temporary file, or, as
    here, no descriptor for one, who has hundreds of sessions could be neither logged out nor disabled.
    """
    store = await store_at(sqlite_url).open()
    user = a_user()
    await add(store, user)
    opening = [partial(sessions.open_for, user=user, session=a_session(user)) for _ in range(1000)]
    await asyncio.gather(*(store.write(story) for story in opening))
    try:
        with no_descriptor_left():
            assert len(await store.write(partial(sessions.end_all, user_id=user.id, now=5, token_lifetime=900))) == 1000
            await add(store, *(a_user(f"user{number}") for number in range(2000)))
    finally:
        await store.close()


def start_no_thread(_: threading.Thread) -> None:
    """Start a thread where there is no memory for one."""
    raise RuntimeError("can't start new thread")


async def test_an_open_file_has_all_its_threads(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever when no other can be started, however much is written: its log is emptied by one too."""
    store = await store_at(sqlite_url).open()
    try:
        monkeypatch.setattr(threading.Thread, "start", start_no_thread)
        async with asyncio.timeout(PATIENCE):
            await add(store, *(a_user(f"user{number}") for number in range(600)))
            assert await store.watch(partial(users.find_by_name, canonical_name="user599")) is not None
            assert await find(store, "user0") is not None
            await store.settle()
    finally:
        monkeypatch.undo()
        await store.close()


async def test_a_file_is_not_opened_without_its_threads(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is told at the start, and not by whoever comes first."""
    monkeypatch.setattr(threading.Thread, "start", start_no_thread)
    with pytest.raises(Unavailable, match="needs a thread"):
        await store_at(sqlite_url).open()


def vacuum(live: sqlite3.Connection, copy: Path) -> None:
    """Copy a database as docs/reliability.md says."""
    live.execute("VACUUM INTO ?", [str(copy)])


def dump(live: sqlite3.Connection, copy: Path) -> None:
    """Copy it as SQL."""
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript("\n".join(live.iterdump()))


def journal_mode(path: Path) -> str:
    """How a file is written."""
    with closing(sqlite3.connect(path)) as connection:
        ((mode,),) = connection.execute("PRAGMA journal_mode")
        return str(mode)


@pytest.mark.parametrize("back_up", [vacuum, dump])
async def test_a_copy_is_served_in_wal_mode(
    sqlite_url: str, tmp_path: Path, back_up: Callable[[sqlite3.Connection, Path], None]
) -> None:
    """As the file it was made of, though it does not come in it: who reads it waits for no writer, nor the other way
    round.
    """
    live, copy = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "copy.db"
    with closing(sqlite3.connect(live)) as connection:
        back_up(connection, copy)
    assert journal_mode(copy) == "delete"
    store = await store_at(f"sqlite:///{copy}").open()
    assert journal_mode(copy) == "wal"
    await register(store, a_user("alice"))
    with closing(sqlite3.connect(copy, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        await register(store, a_user("bob"))
    await store.close()


async def test_a_copy_that_somebody_writes_to_is_opened_all_the_same(sqlite_url: str, tmp_path: Path) -> None:
    """It goes over to WAL mode when it is opened next, as it does for one of two processes that start together."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        vacuum(connection, copy)
    async with somebody_holding_the_lock(f"sqlite:///{copy}"):
        store = await store_at(f"sqlite:///{copy}").open()
        assert await find(store, "alice") is None
        await store.close()
    await (await store_at(f"sqlite:///{copy}").open()).close()
    assert journal_mode(copy) == "wal"


async def test_a_copy_that_somebody_reads_goes_over_later(sqlite_url: str, tmp_path: Path) -> None:
    """Into WAL mode, with the first write after that: else each reader would be in the way of whoever writes."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        vacuum(connection, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        store = await store_at(f"sqlite:///{copy}").open()
        with pytest.raises(Unavailable):
            await register(store, a_user("alice"))
    await register(store, a_user("bob"))
    assert journal_mode(copy) == "wal"
    await store.close()


def replace_by_a_copy(path: Path) -> None:
    """As who restores a backup without stopping the service."""
    with closing(sqlite3.connect(path)) as connection:
        vacuum(connection, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def remove(path: Path) -> None:
    """As who clears a folder."""
    path.unlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """At once: whoever opens a pipe to read may wait for ever."""
    make(tmp_path / "no.db")
    with pytest.raises(Unavailable, match="the database answers: "):
        await store_at(f"sqlite:///{tmp_path}/no.db").open()


def overwrite_with_a_copy(path: Path) -> None:
    """As who restores a backup with ``cp``."""
    with closing(sqlite3.connect(path)) as connection:
        vacuum(connection, path.with_suffix(".copy"))
    path.write_bytes(path.with_suffix(".copy").read_bytes())


@pytest.mark.parametrize("lose", [replace_by_a_copy, overwrite_with_a_copy])
@pytest.mark.parametrize("is_link", [False, True])
async def test_a_file_that_is_another_now_is_told(
    sqlite_url: str, tmp_path: Path, lose: Callable[[Path], None], is_link: bool
) -> None:
    """Once the service has looked, which it does for its news and for its readiness: what is written would be gone.
    It is told what to remove, too: the log of the old file would be played into the new one, and ruin or undo it. That
    lies beside the file, not beside a symlink to it.
    """
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    (tmp_path / "link.db").symlink_to(path)
    store = await store_at(f"sqlite:///{tmp_path}/link.db" if is_link else sqlite_url).open()
    await register(store, a_user("alice"))
    lose(path)
    remedy = rf"stop the service, remove {path}-wal and {path}-shm, put the file there again, and"
    for use in (store.watch, store.write, store.write_one, store.read):
        with pytest.raises(Unavailable, match=rf"was (replaced|overwritten); {remedy}"):
            await use(partial(users.find_by_name, canonical_name="alice"))
    await store.close()


@pytest.mark.parametrize("lose", [replace_by_a_copy, remove, overwrite_with_a_copy])
async def test_a_write_to_a_file_that_is_no_longer_there_is_not_told_as_done(
    sqlite_url: str, lose: Callable[[Path], None]
) -> None:
    """Nor the first one, before anybody has looked: a command that writes for long never looks."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    store = await store_at(sqlite_url).open()
    await register(store, a_user("alice"))
    lose(path)
    with pytest.raises(Unconfirmed, match=r"(was (replaced|overwritten)|is gone); stop the service"):
        await register(store, a_user("bob"))
    await store.close()


def move(path: Path, to: Path) -> None:
    """As who looks for room, or tidies."""
    path.rename(to)


async def test_a_file_that_was_away_is_there_again_with_all_that_was_told(sqlite_url: str) -> None:
    """Its log must not be removed: nothing of that is moved into a file that is not found, also when the store ends.
    Nor may a new file be made beside it, as by ``watchword init``, which would use it up.
    """
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    store = await store_at(sqlite_url).open()
    await register(store, a_user("alice"))
    move(path, path.with_suffix(".aside"))
    for use in (store.watch, store.write, store.read):
        with pytest.raises(Unavailable, match=f"{path} is gone; stop the service, but do not kill it, put"):
            await use(partial(users.find_by_name, canonical_name="alice"))
    await store.close()
    for begin in (store_at(sqlite_url).open(), asyncio.to_thread(migrations.upgrade, sqlite_url)):
        with pytest.raises(Unavailable, match=f"{path} is gone; .*; before another is put there"):
            await begin
    move(path.with_suffix(".aside"), path)
    store = await store_at(sqlite_url).open()
    assert await store.watch(partial(users.find_by_name, canonical_name="alice")) is not None
    await store.close()


async def test_a_file_that_cannot_be_looked_at_is_not_called_gone(sqlite_url: str, tmp_path: Path) -> None:
    """As in a folder that is closed for a moment: whoever then did as one does with another file would lose its log."""
    path, link = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "link.db"
    link.symlink_to(path)
    store = await store_at(f"sqlite:///{link}").open()
    link.unlink()
    link.symlink_to(link)
    for use in (store.watch, store.write):
        with pytest.raises(Unavailable, match=r"the database answers: .*Too many levels of symbolic links"):
            await use(partial(users.find_by_name, canonical_name="alice"))
    link.unlink()
    link.symlink_to(path)
    assert await store.watch(partial(users.find_by_name, canonical_name="alice")) is None
    await register(store, a_user("alice"))
    await store.close()


@pytest.mark.parametrize("is_link", [False, True])
async def test_the_end_of_one_store_leaves_the_log_of_another_in_the_same_process(
    sqlite_url: str, tmp_path: Path, is_link: bool
) -> None:
    """A descriptor of the file that is closed takes along all locks that the process has on it; then the next process
    to leave would think itself the last, and remove the log that the other store goes on writing to.
    """
    path, link = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "link.db"
    link.symlink_to(path)
    store = await store_at(sqlite_url).open()
    another = await store_at(f"sqlite:///{link}" if is_link else sqlite_url).open()
    await register(another, a_user("alice"))
    await another.close()
    count = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM users').fetchone())"
    for number, name in enumerate(("bob", "carol"), start=2):
        await register(store, a_user(name))
        seen = await asyncio.create_subprocess_exec(sys.executable, "-c", count, str(path), stdout=subprocess.PIPE)
        assert (await seen.communicate())[0] == b"%d\n" % number
    await store.close()


async def test_a_symlink_that_leads_elsewhere_is_told(sqlite_url: str, tmp_path: Path) -> None:
    """Whoever starts now would open another file than we have."""
    path, link = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "link.db"
    link.symlink_to(path)
    store = await store_at(f"sqlite:///{link}").open()
    shutil.copy(path, tmp_path / "other.db")
    link.unlink()
    link.symlink_to(tmp_path / "other.db")
    with pytest.raises(Unavailable, match=f"{link} was replaced; "):
        await store.watch(partial(users.find_by_name, canonical_name="alice"))
    await store.close()


@pytest.mark.parametrize("lost", ["-wal", "-shm"])
async def test_a_log_that_is_no_longer_there_is_told(sqlite_url: str, lost: str) -> None:
    """Once the service has looked: whoever comes now would make another one, and neither would hear of the other. What
    was acknowledged is moved into the file by the last who has the old one open.
    """
    log = Path(sqlite_url.removeprefix("sqlite:///") + lost)
    store = await store_at(sqlite_url).open()
    find_alice = partial(users.find_by_name, canonical_name="alice")
    await store.watch(find_alice)
    await register(store, a_user("alice"))
    remove(log)
    for use in (store.watch, store.write, store.write_one, store.read):
        with pytest.raises(
            Unavailable, match=f"{log} was replaced or removed; stop the service, but do not kill it, and"
        ):
            await use(find_alice)
    await store.close()
    store = await store_at(sqlite_url).open()
    assert await store.watch(find_alice) is not None
    await store.close()


async def test_a_log_that_comes_and_goes_by_rights_is_none_that_is_lost(sqlite_url: str, tmp_path: Path) -> None:
    """Somebody reads the file that we open, so it goes over to WAL mode later, by another, who removes its log."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        vacuum(connection, copy)
    find_alice = partial(users.find_by_name, canonical_name="alice")
    with closing(sqlite3.connect(copy, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        store = await store_at(f"sqlite:///{copy}").open()
        await store.watch(find_alice)
    with closing(sqlite3.connect(copy)) as other:
        other.execute("PRAGMA journal_mode=WAL")
    for _ in range(2):
        assert await store.watch(find_alice) is None
    with closing(sqlite3.connect(copy, isolation_level=None)) as other:  # checkpoints and shrinks it under us
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await register(store, a_user("alice"))
    assert await store.watch(find_alice) is not None
    await store.close()


async def test_a_user_comes_back_as_stored(store: Store) -> None:
    """Every field of a user survives the database, None and non-ASCII text included."""
    stored = [
        a_user("Zoë"),
        a_user("b", password_hash=None, disabled_at=1_800_000_001, scope=""),
        a_user("emoji😀", password_version=7, created_at=2**40),
    ]
    await add(store, *stored)
    assert [await find(store, user.canonical_name) for user in stored] == stored


async def test_an_unknown_name_finds_nobody(store: Store) -> None:
    """A name that nobody has is None, not an error."""
    assert await find(store, "nobody") is None


async def test_text_that_looks_like_sql_is_only_text(store: Store) -> None:
    """Quotes, percent signs, colons and backslashes reach the table as they are (checklist row 34)."""
    names = ["' OR 1=1--", "%(x)s", "100%", ":id", "$1", "a\\b", "{{7*7}}", "x'; DROP TABLE users;--"]
    await add(store, *(a_user(name, canonical_name=name) for name in names))
    assert [found.username for name in names if (found := await find(store, name))] == names


async def test_a_name_is_taken_once(store: Store) -> None:
    """The second user of a canonical name is refused and the first one stays."""
    first = a_user("Alice")
    await add(store, first)
    with pytest.raises(UserExists):
        await store.write(lambda connection: users.insert(connection, a_user("ALICE")))
    assert await find(store, "alice") == first


async def test_many_are_inserted_but_the_taken(store: Store) -> None:
    """A batch tells which names it added and leaves the taken ones alone."""
    await add(store, a_user("b"))
    added = await store.write(lambda connection: users.insert_many(connection, [a_user("a"), a_user("b"), a_user("c")]))
    assert added == {"a", "c"}
    assert await count(store, COUNT_USERS) == 3


async def test_batches_of_the_same_names_are_no_deadlock(store: Store) -> None:
    """Of two that come in the opposite order one waits, and adds none: PostgreSQL would have given one up."""
    rows = [a_user(f"user{number}") for number in range(2000)]
    backwards = [a_user(user.username) for user in reversed(rows)]
    for _ in range(4):
        batches = (store.write(partial(users.insert_many, users=batch)) for batch in (rows, backwards))
        assert sorted(map(len, await asyncio.gather(*batches))) == [0, len(rows)]
        await store.write(lambda connection: connection.fetch(Statement("DELETE FROM users")))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_a_database_says_is_one_line(store: Store) -> None:
    """Without the detail and the hint that PostgreSQL has for whoever wrote the statement."""
    with pytest.raises(Unavailable, match=r'^the database answers: column "usernam" does not exist$'):
        await store.read(lambda connection: connection.fetch(Statement("SELECT usernam FROM users")))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_answer_at_the_very_end_of_patience_is_too_late(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is cut in the instant in which the driver, told what the statement is, goes on to run it."""
    monkeypatch.setattr(postgresql, "PATIENCE", 0.2)

    async def story(connection: Connection) -> object:
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)  # then answer and deadline are there at once
        return await connection.fetch(Statement("SELECT 'never asked before'"))

    with pytest.raises(Unavailable, match="has not answered"):
        await store.read(story)
    monkeypatch.undo()
    assert await count(store, COUNT_USERS) == 0


async def leave_soon(reading: "asyncio.Future[int]") -> None:
    """Hang up."""
    await asyncio.sleep(0.03)
    reading.cancel()


async def wait_long(_: "asyncio.Future[int]") -> None:
    """Come one after the other, so that some get a connection late."""
    await asyncio.sleep(0.06)


@pytest.mark.parametrize("visit", [leave_soon, wait_long])
async def test_who_waits_for_a_locked_table_takes_no_more_connections_than_the_pool_has(
    postgresql_url: str, visit: Callable[["asyncio.Future[int]"], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Of the server, which goes on waiting for a lock when a connection is cut: whoever hangs up, or comes to one late,
    leaves it to the server to give up. All are there afterwards, and nobody's fault is anybody's noise.
    """
    store = await store_at(postgresql_url).open()
    holder, onlooker = await asyncpg.connect(postgresql_url), await asyncpg.connect(postgresql_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        readings, backends = [], []
        for _ in range(50):
            readings.append(asyncio.ensure_future(count(store, COUNT_USERS)))
            await visit(readings[-1])
            backends.append(await onlooker.fetchval(OUR_BACKENDS))
        assert max(backends) <= 12
    told = await asyncio.gather(*readings, return_exceptions=True)
    assert {type(each) for each in told} <= {Unavailable, asyncio.CancelledError, int}
    await holder.close()
    await onlooker.close()
    assert await asyncio.gather(*(count(store, COUNT_USERS) for _ in range(40))) == [0] * 40
    await store.close()
    del readings, told
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("visit", [leave_soon, wait_long])
async def test_who_waits_to_be_let_in_opens_no_more_connections_than_the_pool_has(
    postgresql_url: str, visit: Callable[["asyncio.Future[int]"], Awaitable[None]]
) -> None:
    """Where the server admits slowly each that is cut goes on there: one that is being opened has its PATIENCE, whoever
    leaves, and however late they came to it. Of a story that nobody hears nothing is done.
    """
    told = 0

    async def story(connection: Connection) -> int:
        nonlocal told
        told += 1
        return len(await connection.fetch(COUNT_USERS))

    with Proxy.before(postgresql_url) as proxy:
        store = await store_at(proxy.url).open()
        tasks = asyncio.all_tasks()
        proxy.cut_all()
        proxy.swallow()
        await asyncio.sleep(0.1)  # until the driver has seen it
        earlier, began = proxy.arrivals, time.monotonic()
        readings = []
        for _ in range(60):
            readings.append(asyncio.ensure_future(store.read(story)))
            await visit(readings[-1])
        assert proxy.arrivals - earlier <= 10 * (1 + (time.monotonic() - began) // PATIENCE)
        await asyncio.gather(*readings, return_exceptions=True)
        assert told == 0
        proxy.pass_on()
        assert await asyncio.gather(*(store.read(story) for _ in range(40))) == [1] * 40
        assert told == 40
        await store.close()
        assert asyncio.all_tasks() == tasks


@contextmanager
def silent_host() -> Iterator[str]:
    """HOST:PORT of what takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("form", ["postgresql://ww@{hosts}{path}", "postgresql://ww@{path}?host={hosts}"])
async def test_a_host_that_says_nothing_leaves_time_for_the_next(postgresql_url: str, form: str) -> None:
    """And is asked last from then on, by both pools: only the first connection waits for it."""
    real = urlsplit(postgresql_url)
    with silent_host() as silent:
        store = await store_at(form.format(hosts=f"{silent},127.0.0.1:{real.port}", path=real.path)).open()
        began = time.monotonic()
        assert await asyncio.gather(*(count(store, COUNT_USERS) for _ in range(20))) == [0] * 20
        assert await store.watch(lambda connection: connection.fetch(COUNT_USERS)) == [(0,)]
        assert time.monotonic() - began < PATIENCE / 3
        await store.close()


@pytest.mark.parametrize("form", ["postgresql://ww@{hosts}{path}", "postgresql://ww@{path}?host={hosts}"])
async def test_of_several_hosts_a_standby_is_never_taken(postgresql_url: str, form: str) -> None:
    """Also where the URL does not say so: its connections would last, and each write fail, when the first is back."""
    real = urlsplit(postgresql_url)
    await take_no_writes(postgresql_url)
    with silent_host() as silent:
        store = store_at(form.format(hosts=f"{silent},127.0.0.1:{real.port}", path=real.path))
        with pytest.raises(Unavailable, match="has not answered within"):
            await store.open()


async def test_hosts_that_all_say_nothing_have_one_time_limit() -> None:
    """Nobody is told later than where there is one."""
    with silent_host() as one, silent_host() as another, silent_host() as third:
        began = time.monotonic()
        with pytest.raises(Unavailable, match=f"has not answered within {PATIENCE:g} s"):
            await store_at(f"postgresql://ww@/database?host={one},{another},{third}").open()
        assert time.monotonic() - began < PATIENCE + 0.5


async def test_a_host_that_is_down_is_told_rather_than_that_another_is_a_standby(postgresql_url: str) -> None:
    """Whichever is named first: the one that would take writes is what the operator must see to."""
    real = urlsplit(postgresql_url)
    await take_no_writes(postgresql_url)
    with silent_host() as closed:
        pass
    standby = f"127.0.0.1:{real.port}"
    for hosts in (f"{closed},{standby}", f"{standby},{closed}"):
        with pytest.raises(Unavailable, match=re.escape(closed.partition(":")[2])):
            await store_at(f"postgresql://ww@{real.path}?host={hosts}&target_session_attrs=read-write").open()


async def test_a_socket_that_is_not_there_is_no_fault_of_a_file_for_tls() -> None:
    """Neither the driver nor the system names what is missing, and over a socket nobody asks for a certificate."""
    with pytest.raises(Unavailable, match="No such file or directory"):
        await store_at("postgresql://ww@/d?host=/nowhere&sslrootcert=/no/such.pem").open()


@pytest.mark.parametrize("ports", ["1,{real}", "{real}"])
async def test_ports_that_the_environment_names_are_those_of_the_hosts(
    postgresql_url: str, ports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for all of the hosts, or one for each."""
    real = urlsplit(postgresql_url)
    monkeypatch.setenv("PGPORT", ports.format(real=real.port))
    store = await store_at(f"postgresql://ww@{real.path}?host=127.0.0.1,127.0.0.1").open()
    assert await count(store, COUNT_USERS) == 0
    await store.close()


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://ww@:{port}{path}?host=127.0.0.1",
        "postgresql://:{port}{path}?host=127.0.0.1",
        "postgresql://ww@:{port}{path}?host=127.0.0.1:1,127.0.0.1",
        "postgresql://ww@:1{path}?host=127.0.0.1:{port}",
    ],
)
async def test_a_port_alone_before_the_path_is_that_of_the_hosts_behind_it(
    postgresql_url: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``psql`` has it; a host that names its own keeps that."""
    real = urlsplit(postgresql_url)
    monkeypatch.setenv("PGUSER", "ww")
    store = await store_at(form.format(port=real.port, path=real.path)).open()
    assert await count(store, COUNT_USERS) == 0
    await store.close()


@pytest.mark.parametrize("before", ["ww@:{port}", ":{port}"])
@pytest.mark.parametrize("hosts", ["127.0.0.1", "/nowhere,127.0.0.1"])
@pytest.mark.parametrize("of_the_environment", ["", "1", "1,1"])
async def test_a_port_without_a_host_is_that_of_the_hosts_of_the_environment(
    postgresql_url: str, before: str, hosts: str, of_the_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``psql`` has it: a host without a name was looked up."""
    real = urlsplit(postgresql_url)
    for name, value in {"PGUSER": "ww", "PGHOST": hosts, "PGPORT": of_the_environment}.items():
        monkeypatch.setenv(name, value)
    store = await store_at(f"postgresql://{before.format(port=real.port)}{real.path}").open()
    assert await count(store, COUNT_USERS) == 0
    await store.close()


@pytest.mark.parametrize(
    ("before", "hosts", "of_the_environment"),
    [
        (":{port}", "::ffff:127.0.0.1", ""),
        ("", "::ffff:127.0.0.1", "{port}"),
        (":{port}", "/nowhere,::ffff:127.0.0.1", ""),
        (":{port},:1", "::ffff:127.0.0.1,127.0.0.1", ""),
        ("", "::ffff:127.0.0.1,127.0.0.1", "{port},1"),
        ("", "[::ffff:127.0.0.1]:{port},127.0.0.1", "1"),
    ],
)
async def test_an_ipv6_address_behind_the_path_needs_no_brackets(
    postgresql_url: str, before: str, hosts: str, of_the_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``psql`` has it, also among others: what follows its first colon was read as a port."""
    real = urlsplit(postgresql_url)
    monkeypatch.setenv("PGPORT", of_the_environment.format(port=real.port))
    form = f"postgresql://ww@{before}{real.path}?host={hosts}"
    store = await store_at(form.format(port=real.port)).open()
    assert await count(store, COUNT_USERS) == 0
    await store.close()


@pytest.mark.parametrize(
    ("ports", "hosts"),
    [
        (":{port},:{port}", "127.0.0.1,127.0.0.1"),
        (":1,:{port}", "127.0.0.1,127.0.0.1"),
        (",:{port}", "/nowhere,127.0.0.1"),
        (":{port},:1", "127.0.0.1,/nowhere"),
        (":1,:1", "127.0.0.1,127.0.0.1:{port}"),
    ],
)
@pytest.mark.parametrize("of_the_environment", ["", "1", "1,1"])
async def test_several_ports_before_the_path_are_each_that_of_one_host_behind_it(
    postgresql_url: str, ports: str, hosts: str, of_the_environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``psql`` has it, whatever the environment says: they were looked up as hosts."""
    real = urlsplit(postgresql_url)
    monkeypatch.setenv("PGPORT", of_the_environment)
    form = f"postgresql://ww@{ports}{real.path}?host={hosts}"
    store = await store_at(form.format(port=real.port)).open()
    assert await count(store, COUNT_USERS) == 0
    await store.close()


async def test_a_slow_statement_is_given_up_by_the_server(postgresql_url: str) -> None:
    """Also where it waits for no lock, and nobody for it: else it would go on, and its connection beside the pool's."""
    store = await store_at(postgresql_url).open()
    onlooker = await asyncpg.connect(postgresql_url)
    slow = Statement("SELECT count(*) FROM generate_series(1, 60) AS n WHERE pg_sleep(n - n + 1) IS NOT NULL")
    await leave_soon(asyncio.ensure_future(count(store, slow)))
    await asyncio.sleep(PATIENCE + 0.5)
    assert await onlooker.fetchval(f"{OUR_BACKENDS} AND state = 'active'") == 0
    await onlooker.close()
    await store.close()


async def test_closing_waits_for_no_lock_for_ever(postgresql_url: str) -> None:
    """Nor leaves anything behind of what nobody hears of any more."""
    store = await store_at(postgresql_url).open()
    tasks = asyncio.all_tasks()
    holder = await asyncpg.connect(postgresql_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        await leave_soon(asyncio.ensure_future(count(store, COUNT_USERS)))
        async with asyncio.timeout(2 * PATIENCE):
            await store.close()
        assert asyncio.all_tasks() == tasks
    await holder.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_is_told_that_nothing_was_done_is_right(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction is not committed any more when its caller has been told that it took too long."""
    monkeypatch.setattr(postgresql, "PATIENCE", 0.4)
    told = []

    async def story(connection: Connection) -> None:
        await users.insert(connection, a_user())
        for _ in range(2):
            await connection.fetch(Statement("SELECT pg_sleep(0.3)"))
        told.append("to its end")

    with pytest.raises(Unavailable) as refusal:
        await store.write(story)
    assert type(refusal.value) is Unavailable
    await asyncio.sleep(0.4)
    assert told == ["to its end"]
    monkeypatch.undo()
    assert await count(store, COUNT_USERS) == 0


async def test_a_name_raced_for_is_given_once(store: Store) -> None:
    """Of twenty that register one name at the same time exactly one gets it."""
    attempts = (register(store, a_user("alice")) for _ in range(20))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [UserExists] * 19
    assert await count(store, COUNT_USERS) == 1


async def test_pages_cover_everybody_once(store: Store) -> None:
    """Page after page, every user is listed once and in order."""
    await add(store, *(a_user(f"user{number:03}") for number in range(25)))
    seen: list[str] = []
    while True:
        page = await store.read(partial(users.page, after=seen[-1] if seen else "", limit=10))
        seen += [user.canonical_name for user in page]
        if len(page) < 10:
            break
    assert seen == [f"user{number:03}" for number in range(25)]


async def test_a_rehash_keeps_the_password_version(store: Store) -> None:
    """A better hash of the same password is not a new password."""
    user = a_user()
    await add(store, user)
    await store.write(lambda connection: users.rehash(connection, user, new_hash="better"))
    assert await find(store, "alice") == replace(user, password_hash="better")


async def test_a_rehash_never_undoes_a_new_password(store: Store) -> None:
    """Who computed a better hash of the old password meanwhile comes too late (checklist row 18)."""
    user = a_user()
    await add(store, user)
    await store.write(lambda connection: users.set_password(connection, canonical_name="alice", password_hash="new"))
    await store.write(lambda connection: users.rehash(connection, user, new_hash="old but better"))
    assert await find(store, "alice") == replace(user, password_hash="new", password_version=2)


@pytest.mark.parametrize("change", ["set_password", "set_disabled", "delete"])
async def test_a_change_to_nobody_is_told(store: Store, change: str) -> None:
    """Changing a user who is not there is UnknownUser, never a silent success."""

    async def story(connection: Connection) -> None:
        if change == "set_password":
            await users.set_password(connection, canonical_name="nobody", password_hash="x")
        elif change == "set_disabled":
            await users.set_disabled(connection, canonical_name="nobody", disabled_at=1)
        else:
            await users.delete(connection, canonical_name="nobody")

    with pytest.raises(UnknownUser):
        await store.write(story)


async def test_disabling_and_enabling(store: Store) -> None:
    """A disabled user is so since a time, an enabled one is as before."""
    user = a_user()
    await add(store, user)
    await store.write(lambda connection: users.set_disabled(connection, canonical_name="alice", disabled_at=5))
    assert await find(store, "alice") == replace(user, disabled_at=5)
    await store.write(lambda connection: users.set_disabled(connection, canonical_name="alice", disabled_at=None))
    assert await find(store, "alice") == user


async def test_a_session_is_opened_for_the_user_who_proved_the_password(store: Store) -> None:
    """A session begins for a user who is as when the password was proven, and it is told how many others there are."""
    user = a_user()
    await add(store, user)
    for others in range(3):
        session = a_session(user)
        assert await store.write(partial(sessions.open_for, user=user, session=session)) == others
    assert await count(store, COUNT_SESSIONS) == 3


@pytest.mark.parametrize("change", ["disabled", "deleted", "password changed"])
async def test_no_session_is_opened_for_a_user_who_changed_meanwhile(store: Store, change: str) -> None:
    """Disabled, deleted or given another password while the hash was computed: no session, not even for a moment."""
    user = a_user()
    await add(store, user)
    if change == "disabled":
        await store.write(lambda connection: users.set_disabled(connection, canonical_name="alice", disabled_at=5))
    elif change == "deleted":
        await store.write(lambda connection: users.delete(connection, canonical_name="alice"))
    else:
        await store.write(lambda connection: users.set_password(connection, canonical_name="alice", password_hash="x"))
    assert await store.write(lambda connection: sessions.open_for(connection, user, session=a_session(user))) is None
    assert await count(store, COUNT_SESSIONS) == 0


async def test_a_deleted_user_leaves_no_session(store: Store) -> None:
    """Sessions go with their user."""
    user = a_user()
    await add(store, user)
    await store.write(lambda connection: sessions.open_for(connection, user, session=a_session(user)))
    await store.write(lambda connection: users.delete(connection, canonical_name="alice"))
    assert await count(store, COUNT_SESSIONS) == 0


async def test_of_two_first_keys_one_is_kept(store: Store) -> None:
    """Two processes that make the first key of an algorithm at once end up with the same one."""
    keys = [SealedKey(kid, "ES256", 1, kid.encode(), 1_800_000_000, 1_800_000_000) for kid in ("one", "two")]
    await asyncio.gather(*(keep(store, key) for key in keys))
    kept = await store.read(signing_keys.all_keys)
    assert len(kept) == 1
    assert kept[0] in keys


async def test_keys_come_oldest_first(store: Store) -> None:
    """Each algorithm's keys are listed from oldest to newest, bytes intact."""
    keys = [
        SealedKey(f"kid{n}", "ES256", n, bytes(range(256)), 1_800_000_000 + n, 1_800_000_900, 1_900_000_000)
        for n in (3, 1, 2)
    ]
    for key in keys:
        await keep(store, key)
    assert await store.read(signing_keys.all_keys) == sorted(keys, key=lambda key: key.generation)


class Failure(Exception):
    """Raised in the middle of a story."""


async def test_a_story_that_fails_leaves_nothing(store: Store) -> None:
    """Whatever a story wrote before it failed is undone, and the store goes on working."""

    async def story(connection: Connection) -> None:
        await users.insert(connection, a_user("half"))
        raise Failure

    for _ in range(30):
        with pytest.raises(Failure):
            await store.write(story)
    assert await count(store, COUNT_USERS) == 0
    await add(store, a_user("whole"))
    assert await count(store, COUNT_USERS) == 1


async def test_a_caller_who_leaves_does_not_tear_the_write(store: Store) -> None:
    """A caller cancelled at any moment of a write leaves both rows or none, and no connection behind."""

    async def story(connection: Connection) -> None:
        name = new_id()
        await users.insert(connection, a_user(f"{name}a"))
        await users.insert(connection, a_user(f"{name}b"))

    for moment in range(60):
        caller = asyncio.create_task(store.write(story))
        for _ in range(moment % 12):
            await asyncio.sleep(0)
        if moment % 2:
            await asyncio.sleep(moment * 0.0001)
        caller.cancel()
        await asyncio.wait([caller])
    await add(store, a_user("a"), a_user("b"))
    assert await count(store, COUNT_USERS) % 2 == 0
    for _ in range(20):  # more than there are connections: none was left behind
        await add(store, a_user(new_id()))


async def test_a_reader_who_leaves_gives_the_connection_back(store: Store) -> None:
    """Reads cancelled at any moment leave every connection usable."""
    for moment in range(60):
        reader = asyncio.create_task(count(store, COUNT_USERS))
        for _ in range(moment % 12):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
    assert await asyncio.gather(*(count(store, COUNT_USERS) for _ in range(40))) == [0] * 40


async def test_closing_waits_for_writes_under_way(database_url: str) -> None:
    """A write whose caller has left is finished before the store closes."""
    store = await store_at(database_url).open()

    async def story(connection: Connection) -> None:
        await connection.fetch(A_WHILE)
        await users.insert(connection, a_user())

    caller = asyncio.create_task(store.write(story))
    await asyncio.sleep(0.01)
    caller.cancel()
    await store.close()
    again = await store_at(database_url).open()
    assert await count(again, COUNT_USERS) == 1
    await again.close()


async def test_writers_of_two_processes_take_turns(store: Store, database_url: str) -> None:
    """Two stores on one database that write at the same time lose nothing and see no error."""
    other = await store_at(database_url).open()
    await asyncio.gather(
        *(add(each, a_user(f"{name}{number}")) for name, each in (("a", store), ("b", other)) for number in range(50))
    )
    await other.close()
    assert await count(store, COUNT_USERS) == 100


async def test_a_write_lock_held_elsewhere_is_unavailable_and_not_for_ever(store: Store, database_url: str) -> None:
    """While another process holds the lock a write is refused in time; afterwards it works (checklist F5)."""
    user = a_user()
    await add(store, user)
    async with somebody_holding_the_lock(database_url):
        with pytest.raises(Unavailable):
            await store.write(lambda connection: users.set_disabled(connection, canonical_name="alice", disabled_at=2))
    await store.write(lambda connection: users.set_disabled(connection, canonical_name="alice", disabled_at=3))
    assert await find(store, "alice") == replace(user, disabled_at=3)


async def test_those_who_queue_for_a_held_lock_give_up_together(sqlite_url: str) -> None:
    """Each write waits for as long as it may and not for those before it too (checklist F3, F5)."""
    store = await store_at(sqlite_url).open()
    async with somebody_holding_the_lock(sqlite_url):
        started = time.monotonic()
        refused = await asyncio.gather(*(add(store, a_user(str(n))) for n in range(5)), return_exceptions=True)
        assert [isinstance(refusal, Unavailable) for refusal in refused] == [True] * 5
        assert time.monotonic() - started < 2 * PATIENCE
    await store.close()


async def test_a_story_awaits_nothing_but_its_connection(sqlite_url: str) -> None:
    """On SQLite it would never be woken: it is refused, undone, and the store goes on working."""
    store = await store_at(sqlite_url).open()

    async def story(connection: Connection) -> None:
        await users.insert(connection, a_user())
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="await nothing but"):
        await store.write(story)
    assert await count(store, COUNT_USERS) == 0
    await store.close()


async def test_a_story_of_one_statement_is_a_transaction(store: Store) -> None:
    """It is there for every other connection as soon as it is told."""
    await store.write_one(lambda connection: users.insert_many(connection, [a_user("a"), a_user("b")]))
    assert await count(store, COUNT_USERS) == 2


async def test_a_transaction_sees_what_others_commit_meanwhile(postgresql_url: str) -> None:
    """Also where the operator's default is another: a login that waited for a disabling would not see it."""
    isolate(postgresql_url)
    store = await store_at(postgresql_url).open()

    async def story(connection: Connection) -> User | None:
        await connection.fetch(COUNT_USERS)
        await register(store, a_user("alice"))
        return await users.find_by_name(connection, canonical_name="alice")

    assert await store.write(story) is not None
    await store.close()


async def test_what_follows_a_write_follows_it_although_the_caller_has_gone(store: Store) -> None:
    """Once, with the result, before the caller goes on; and not at all where nothing was committed."""
    told: list[int] = []
    number = Statement("SELECT 7")

    async def seven(connection: Connection) -> int:
        ((found,),) = await connection.fetch(number)
        return int(found)

    async def broken(connection: Connection) -> int:
        raise KeyError

    assert await store.write(seven, then=told.append) == 7
    assert told == [7]
    with pytest.raises(KeyError):
        await store.write(broken, then=told.append)
    leaving = asyncio.create_task(store.write(seven, then=told.append))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await store.settle()
    assert told == [7] * 2


async def test_a_store_that_was_closed_says_so(store: Store) -> None:
    """Whoever comes too late is told, and does not wait for ever."""
    await store.close()
    for use in (store.read, store.write, store.write_one):
        with pytest.raises(Unavailable):
            await use(lambda connection: connection.fetch(COUNT_USERS))
