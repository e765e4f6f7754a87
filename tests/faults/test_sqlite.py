"""SQLite locked, without space, damaged: what cannot be done is 503, what needs no writing goes on."""

import asyncio
import json
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.attacks.raw import ask, log_in
from tests.builders import PASSWORD, cheap_settings
from tests.faults.load import Load, all_work, check_refusals, counts, statuses, told
from tests.races.clients import add_users, me, refresh, session_of, tokens
from tests.races.rounds import IS_FULL
from tests.servers import Server, watchword_server, workers_of
from watchword.app import create_app

CLIENTS = 6
SOON = 5.0 if IS_FULL else 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers on a file."""
    instance = tmp_path_factory.mktemp("service") / "instance"
    with watchword_server(instance, workers=2, REFRESH_GRACE="60") as server:
        add_users(server, "alice")
        yield server


def database(server: Server) -> Path:
    """The file."""
    return Path(server.environ["WATCHWORD_INSTANCE"]) / "watchword.db"


def change(server: Server, *statements: str) -> None:
    """Do something to the database behind the server's back."""
    with closing(sqlite3.connect(database(server), isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def check_whole(server: Server) -> None:
    """See that the file is whole."""
    with closing(sqlite3.connect(database(server))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_somebody_else_holds_the_lock(server: Server) -> None:
    """Row F5: writes wait for two seconds and are 503 then; guarded routes are 200 all the while."""
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        with closing(sqlite3.connect(database(server), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            await asyncio.sleep(3)
            other.execute("COMMIT")
        ended = time.monotonic()
        await load.until(all_work, since=ended, seconds=SOON)
    meanwhile = load.between(began + 0.1, ended)
    told("F5", meanwhile)
    check_refusals(load.seen)
    waited = load.between(began - 1, ended + 1)  # all clients may have asked just before
    assert statuses(waited, "login", "refresh", "logout") >= {503}
    assert statuses(load.seen, "guarded", "health") == {200}


async def test_a_disk_without_space(server: Server) -> None:
    """Row F6: nothing can be written, the log neither; reads and tokens go on, nothing is damaged, and space heals."""
    async with Load(server).running(CLIENTS) as load:
        await load.until(all_work, since=time.monotonic())
        began = time.monotonic()
        for worker in workers_of(server):
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        refused = await asyncio.to_thread(log_in, server, "alice", PASSWORD)  # all others may be about something else
        await asyncio.sleep(30 if IS_FULL else 1)
        ended = time.monotonic()
        for worker in workers_of(server):
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await load.until(all_work, since=ended, seconds=SOON)
    meanwhile = load.between(began + 0.5, ended)
    told("F6", meanwhile)
    assert refused.status == 503
    check_refusals(load.seen)
    assert statuses(meanwhile, "login", "refresh", "logout") == {503}, counts(meanwhile)
    assert statuses(load.seen, "guarded", "health") == {200}
    check_whole(server)


@pytest.mark.parametrize(
    ("damage", "repair"),
    [
        ("ALTER TABLE sessions RENAME COLUMN salt TO pepper", "ALTER TABLE sessions RENAME COLUMN pepper TO salt"),
        ("ALTER TABLE users RENAME TO people", "ALTER TABLE people RENAME TO users"),
    ],
    ids=["a column is gone", "a table is gone"],
)
def test_a_schema_that_changes_below_a_service(server: Server, damage: str, repair: str) -> None:
    """Row F19: 503 without a detail, tokens go on, and all works once it is back."""
    given = tokens(server)
    change(server, damage)
    assert log_in(server, "alice", PASSWORD).refused(retry_after="1") == (503, "unavailable")
    assert refresh(server, given["refresh_token"]).status == 503
    assert ask(server, me(given["token"])).status == 200
    change(server, repair)
    assert log_in(server, "alice", PASSWORD).status == 200
    assert refresh(server, given["refresh_token"]).status == 200


def test_a_row_that_is_damaged(server: Server) -> None:
    """Row F19: the session that the row was has no successor, without a detail, and no other is touched."""
    other = tokens(server)
    for damage in ("counter = 'x'", "salt = 'no bytes'", "salt = x''", "ends_at = 'never'", "password_version = x'00'"):
        damaged = tokens(server)["refresh_token"]
        change(server, f"UPDATE sessions SET {damage} WHERE id = '{session_of(damaged)}'")
        refused = refresh(server, damaged)
        assert refused.status in {401, 500}, damage
        assert json.loads(refused.body)["code"] in {"invalid_refresh_token", "internal_error"}
        other = json.loads(refresh(server, other["refresh_token"]).body)
    assert log_in(server, "alice", PASSWORD).status == 200


def garble(file: Path, table: str) -> None:
    """Overwrite the pages at which a table and its indexes begin."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", (table,)).fetchall()
        ((size,),) = connection.execute("PRAGMA page_size")
    with file.open("r+b") as opened:
        for (page,) in pages:
            opened.seek((page - 1) * size)
            opened.write(b"\xa5" * size)


async def test_a_file_that_is_damaged(sqlite_url: str, tmp_path: Path) -> None:
    """Row F19: the users' table and its indexes are garbage: 503, and the service lives."""
    garble(Path(sqlite_url.removeprefix("sqlite:///")), "users")
    app = create_app(cheap_settings(instance=tmp_path, database_url=sqlite_url))
    async with app.test_app():
        client = app.test_client()
        refused = await client.post("/login", json={"username": "alice", "password": PASSWORD})
        assert (refused.status_code, (await refused.get_json())["code"]) == (503, "unavailable")
        assert (await client.get("/healthz")).status_code == 200
