"""How Alembic runs our migrations: on the URL or the connection that it is given, as one transaction, one at a time.

Watchword calls it through ``watchword migrate``; the ``alembic`` command needs WATCHWORD_DATABASE_URL.
"""

import asyncio
import os
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, create_engine, event, pool, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from watchword.errors import Unavailable
from watchword.store.inspection import expect_utf8
from watchword.store.schema import metadata
from watchword.store.sqlite_file import expect_no_log_alone, expect_room_for_a_log

LOCK = 0x77617463  # any number; all that upgrade one PostgreSQL database must use the same
SECONDS_TO_WAIT = 30  # for another process that is upgrading the same SQLite file
SECONDS_TO_BE_LET_IN = 10  # by the hosts of one PostgreSQL together


def migrate(connection: Connection) -> None:
    """Run what is missing, all or nothing."""
    is_postgresql = connection.dialect.name == "postgresql"
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=not is_postgresql,
        transactional_ddl=True,
        compare_type=True,
    )
    with context.begin_transaction():
        if is_postgresql:
            expect_utf8(connection.execute(text("SHOW server_encoding")).scalar_one())
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()


def migrate_sqlite(url: URL) -> None:
    """On SQLite the driver would commit before each DDL statement, so we begin and end the transaction ourselves."""
    named = Path(url.database or "")
    # Of a link with .. behind it SQLAlchemy would open another file than the service, beside the one that is private.
    path = named.resolve()
    expect_no_log_alone(path)
    for folder in (named.parent, path.parent):
        if not folder.exists():
            raise Unavailable(f"there is no folder {folder}")
    try:
        path.touch(mode=0o600)  # password hashes are nobody else's to read
    except OSError as fault:
        expect_room_for_a_log(path, fault)
        raise
    engine = create_engine(
        url.set(drivername="sqlite", database=str(path)),
        poolclass=pool.NullPool,
        connect_args={"timeout": SECONDS_TO_WAIT},
    )

    @event.listens_for(engine, "connect")
    def _take_over(dbapi_connection, _record) -> None:  # type: ignore[no-untyped-def]
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.connect() as connection:
            migrate(connection)
    except DBAPIError as fault:
        expect_room_for_a_log(path, fault.orig)
        raise


async def migrate_postgresql(url: str) -> None:
    """Through asyncpg, the driver that is installed anyway, which reads the URL as it does for the service."""
    from sqlalchemy.ext.asyncio import create_async_engine

    from watchword.store.postgresql import Hosts

    asyncpgs = {"async_creator_fn": Hosts(url, seconds=SECONDS_TO_BE_LET_IN).connect}
    # Who has waited for the lock must see that the work is done already, whatever the operator's default.
    engine = create_async_engine(
        "postgresql+asyncpg://", connect_args=asyncpgs, poolclass=pool.NullPool, isolation_level="READ COMMITTED"
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


def online() -> None:
    """Find the database and choose the way to it."""
    url: str = context.config.attributes.get("url") or os.environ["WATCHWORD_DATABASE_URL"]
    if url.startswith("sqlite:"):
        migrate_sqlite(make_url(url))
    else:
        asyncio.run(migrate_postgresql(url))


online()
