"""The migrations lead from nothing to the schema, all or nothing, one at a time, and a start knows how far they are."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, pool, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.postgresql import fresh_database, isolate
from watchword.errors import SchemaRefused, Unavailable
from watchword.model import Session
from watchword.store import Store, inspection, migrations, sessions, store_at
from watchword.store.connection import Statement
from watchword.store.schema import metadata

ALEMBIC = Path(__file__).parents[2] / "alembic"

BROKEN = f"""
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{migrations.HEAD}"


def upgrade():
    op.create_table("half", sa.Column("id", sa.Text, primary_key=True))
    op.execute("INSERT INTO half (id) VALUES ('x')")
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("nickname", sa.Text))
    op.execute("this is not SQL")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of either kind without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_server")) as url:
            if request.param == "repeatable read":
                isolate(url)
            yield url


def ask(url: str, question: Any) -> Any:
    """What a question about the schema is answered on a connection of its own."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with create_engine(url, poolclass=pool.NullPool).connect() as connection:
            return question(connection)

    async def ask_postgresql() -> Any:
        engine = create_async_engine(parsed.set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool)
        async with engine.connect() as connection:
            return await connection.run_sync(question)

    return asyncio.run(ask_postgresql())


def tables(url: str) -> dict[str, set[str]]:
    """All tables and their columns."""

    def look(connection: Connection) -> dict[str, set[str]]:
        found = inspect(connection)
        return {table: {column["name"] for column in found.get_columns(table)} for table in found.get_table_names()}

    answer: dict[str, set[str]] = ask(url, look)
    return answer


def test_the_migrations_lead_to_the_schema(empty_url: str) -> None:
    """From an empty database to exactly what ``schema.metadata`` says, types and indexes included."""
    migrations.upgrade(empty_url)
    differences = ask(
        empty_url,
        lambda connection: compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True}),
            metadata,
        ),
    )
    assert differences == []
    assert set(tables(empty_url)) == {*metadata.tables, "alembic_version"}


def test_the_code_knows_the_newest_migration() -> None:
    """``migrations.HEAD`` is the one head of the scripts."""
    assert ScriptDirectory(str(ALEMBIC)).get_heads() == [migrations.HEAD]


def test_upgrading_twice_does_nothing(empty_url: str) -> None:
    """What is there already is not made again."""
    migrations.upgrade(empty_url)
    before = tables(empty_url)
    migrations.upgrade(empty_url)
    assert tables(empty_url) == before


@pytest.mark.parametrize("empty_url", ["sqlite", "postgresql", "repeatable read"], indirect=True)
def test_four_processes_upgrade_at_once(empty_url: str) -> None:
    """All four end well, and the schema is there once (they wait for one another)."""
    program = (
        "import sys, alembic.command; from watchword.store.migrations import upgrade;"
        "print('loaded', flush=True); sys.stdin.read(1); upgrade(sys.argv[1])"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "loaded\n"
        for process in processes:
            assert process.stdin
            process.stdin.write(".")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [(process.returncode, error) for process, error in zip(processes, errors, strict=True)] == [(0, "")] * 4
    assert set(tables(empty_url)) == {*metadata.tables, "alembic_version"}


@pytest.mark.parametrize("start", ["empty", "at the version before"])
def test_a_migration_that_fails_leaves_nothing(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """Neither tables nor columns nor rows nor a version number of what began and did not end; then mended, it goes."""
    if start != "empty":
        migrations.upgrade(empty_url)
    before = tables(empty_url)
    scripts = Path(shutil.copytree(ALEMBIC, tmp_path / "alembic", ignore=shutil.ignore_patterns("__pycache__")))
    planted = scripts / "versions" / "next_broken.py"
    planted.write_text(BROKEN)
    monkeypatch.setattr(migrations, "_scripts", lambda: scripts)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the mended file has the same time and nearly the same size
    with pytest.raises(Unavailable, match="syntax error") as fault:
        migrations.upgrade(empty_url)
    assert "\n" not in str(fault.value)
    assert tables(empty_url) == before
    planted.write_text(BROKEN.replace("this is not SQL", "DELETE FROM half"))
    migrations.upgrade(empty_url)
    after = tables(empty_url)
    assert "nickname" in after["users"]
    assert "half" in after
    version = text("SELECT version_num FROM alembic_version")
    assert ask(empty_url, lambda connection: connection.execute(version).all()) == [("next",)]


async def test_the_right_schema_passes(store: Store) -> None:
    """A database that was brought up to date is let through."""
    await inspection.check(store)


async def set_version(store: Store, statement: str) -> None:
    """Change what the database says of its schema."""
    await store.write(lambda connection: connection.fetch(Statement(statement)))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        pytest.param("DROP TABLE alembic_version", "no tables of ours yet; run `watchword migrate`", id="no tables"),
        pytest.param("DELETE FROM alembic_version", "no tables of ours yet; run `watchword migrate`", id="no version"),
        pytest.param("UPDATE alembic_version SET version_num = '9999'", "9999, which this version", id="new"),
        pytest.param("UPDATE alembic_version SET version_num = ''", "which this version does not know", id="empty"),
    ],
)
async def test_a_foreign_schema_is_refused(store: Store, statement: str, told: str) -> None:
    """No tables, no version, or one that no script of ours has: the refusal names the setting and what to do."""
    await set_version(store, statement)
    with pytest.raises(SchemaRefused, match=told) as refusal:
        await inspection.check(store)
    assert str(refusal.value).startswith("WATCHWORD_DATABASE_URL: ")


async def test_a_schema_that_is_behind_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is newer than the database: migrate first."""
    head = migrations.HEAD
    monkeypatch.setattr(inspection, "HEAD", "9999")
    with pytest.raises(SchemaRefused, match=f"at schema {head}, behind 9999; run `watchword migrate`"):
        await inspection.check(store)


def test_an_unknown_schema_is_not_upgraded(empty_url: str) -> None:
    """To bring a database up to date one must know where it stands."""
    migrations.upgrade(empty_url)

    async def forge() -> None:
        store = await store_at(empty_url).open()
        await set_version(store, "UPDATE alembic_version SET version_num = '9999'")
        await store.close()

    asyncio.run(forge())
    with pytest.raises(SchemaRefused, match=r"WATCHWORD_DATABASE_URL: .* does not know"):
        migrations.upgrade(empty_url)


def test_sessions_of_before_refresh_tokens_go_on_and_have_none(empty_url: str) -> None:
    """A row of schema 0001 ends when it would have ended, and nobody could have a refresh token of its own salt."""
    config = Config()
    config.set_main_option("script_location", str(ALEMBIC))
    config.attributes["url"] = empty_url
    command.upgrade(config, "0001")

    async def insert() -> None:
        store = await store_at(empty_url).open()
        for statement in (
            "INSERT INTO users VALUES ('u', 'alice', 'alice', 'a hash', 3, '', NULL, 1)",
            "INSERT INTO sessions (id, user_id, auth_time, expires_at) VALUES ('s', 'u', 1000, 5000), ('t', 'u', 1, 2)",
        ):
            await set_version(store, statement)
        await store.close()

    async def read() -> list[Session]:
        store = await store_at(empty_url).open()
        rows = await store.read(lambda connection: sessions.of_user(connection, user_id="u", now=0))
        await store.close()
        return rows

    asyncio.run(insert())
    migrations.upgrade(empty_url)
    first, second = asyncio.run(read())
    assert (first.id, first.ends_at, first.refreshed_at, first.counter) == ("s", 5000, 1000, 0)
    assert (first.password_version, first.token_expires_at) == (3, 1000 + 86_400)
    assert len(first.salt) == len(second.salt) == 16
    assert first.salt != second.salt


def test_sqlite_is_private(tmp_path: Path) -> None:
    """Nobody else reads the password hashes."""
    path = tmp_path / "watchword.db"
    migrations.upgrade(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_file_is_meant_however_it_is_named(tmp_path: Path) -> None:
    """Behind a link ``..`` leads up from where that leads to, as the service has it, and nobody else reads the file."""
    (tmp_path / "real" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "folder")
    migrations.upgrade(f"sqlite:///{tmp_path}/link/../watchword.db")
    assert (tmp_path / "real" / "watchword.db").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "watchword.db").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Nothing makes it, for who knows whose it would be."""
    with pytest.raises(Unavailable, match=r"there is no folder .*/no$"):
        migrations.upgrade(f"sqlite:///{tmp_path / 'no' / 'folder.db'}")
    link = tmp_path / "watchword.db"
    link.symlink_to(tmp_path / "not-mounted" / "watchword.db")
    with pytest.raises(Unavailable, match=r"there is no folder .*/not-mounted$"):
        migrations.upgrade(f"sqlite:///{link}")


def test_the_alembic_command_finds_its_way(empty_url: str) -> None:
    """Who knows Alembic may use its own command on these scripts, as its author would while writing the next one."""
    migrations.upgrade(empty_url)
    program = (
        "from alembic.config import Config; from alembic import command; config = Config();"
        f"config.set_main_option('script_location', {str(ALEMBIC)!r}); command.check(config)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "WATCHWORD_DATABASE_URL": empty_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No new upgrade operations detected" in done.stdout
