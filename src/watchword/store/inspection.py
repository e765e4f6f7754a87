"""Whether a database will do: its schema is ours and whole, and it takes what we write and keeps it.

Every start asks, every command and every look at readiness, so it loads no Alembic. For the time the doctor alone asks.
"""

from contextlib import suppress
from functools import partial
from typing import Final

from watchword.errors import Locked, SchemaRefused, Unavailable
from watchword.store import Store
from watchword.store.connection import Connection, Row, Statement, first
from watchword.store.migrations import HEAD, knows
from watchword.store.sequences import GIVING, UNNUMBERED, as_identity

# What the service does there. To add users and clients, and to remove old audit events, may be somebody else's right.
_RIGHTS: Final = {
    "users": "SELECT UPDATE",
    "sessions": "SELECT INSERT UPDATE DELETE",
    "revocations": "SELECT INSERT UPDATE DELETE",
    "audit_events": "SELECT INSERT",
    "audit_anchors": "SELECT",
    "tallies": "SELECT INSERT UPDATE DELETE",
    "signing_keys": "SELECT INSERT UPDATE DELETE",
    "clients": "SELECT",
}
# What stories rely on when two want the same; a restore makes them last, and may have stopped before.
_UNIQUE: Final = {
    "users": ("id", "canonical_name"),
    "sessions": ("id",),
    "revocations": ("seq",),
    "audit_events": ("id", "seq, writer"),
    "audit_anchors": ("writer",),
    "tallies": ("key",),
    "signing_keys": ("algorithm, generation", "kid"),
    "clients": ("id", "name"),
}
"""Columns, those of one index in the order of the alphabet."""
_PAIRS: Final = ", ".join(f"('{table}', '{each}')" for table, rights in _RIGHTS.items() for each in rights.split())
_TABLES: Final = ", ".join(f"('{table}')" for table in ("alembic_version", *_RIGHTS))
_INDEXES: Final = ", ".join(f"('{table}', '{columns}')" for table, each in _UNIQUE.items() for columns in each)
_MISSING: Final = (
    f"SELECT name FROM (VALUES {_TABLES}) AS t (name) WHERE NOT EXISTS ("
    # Of the same name another application's may come first in ``search_path``.
    "SELECT FROM pg_class AS found JOIN pg_class AS ours USING (relnamespace)"
    " WHERE found.oid = to_regclass(name) AND ours.oid = to_regclass('alembic_version'))"
    " UNION ALL SELECT 'unique index on ' || name || ' (' || columns || ')'"
    f" FROM (VALUES {_INDEXES}) AS i (name, columns) WHERE NOT EXISTS ("  # whatever it is called
    "SELECT FROM pg_index WHERE indrelid = to_regclass(name) AND indisunique AND indisvalid AND indimmediate"
    " AND indpred IS NULL AND indexprs IS NULL"  # as ON CONFLICT looks for one
    " AND columns = (SELECT string_agg(attname, ', ' ORDER BY attname) FROM pg_attribute"
    " WHERE attrelid = indrelid AND attnum = ANY ((indkey::int2[])[0 : indnkeyatts - 1])))"
)
_PASSING: Final = (  # those that are UNLOGGED; of a temporary one we know already that it is not ours
    f"SELECT name FROM (SELECT name, to_regclass(name)::oid AS oid FROM (VALUES {_TABLES}) AS t (name)"
    f" UNION ALL SELECT name, oid FROM {GIVING} AS giving) AS ours JOIN pg_class USING (oid)"
    " WHERE relpersistence <> 'p' ORDER BY relkind <> 'r', name <> 'users'"  # to which others refer, and so the first
)
_LACKING: Final = (
    f"SELECT need || ' on ' || name FROM (VALUES {_PAIRS}) AS t (name, need) WHERE NOT CASE need"
    " WHEN 'DELETE' THEN has_table_privilege(to_regclass(name), need)"
    " WHEN 'UPDATE' THEN has_any_column_privilege(to_regclass(name), need)"  # of some columns; the others of each
    " ELSE (SELECT bool_and(has_column_privilege(attrelid, attnum, need)) FROM pg_attribute"
    " WHERE attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped) END"
    f" UNION ALL SELECT 'a way around row security on ' || name FROM (VALUES {_TABLES}) AS r (name)"
    " WHERE row_security_active(to_regclass(name))"
    f" UNION ALL SELECT 'USAGE on ' || name FROM {GIVING} AS giving"
    " WHERE NOT is_identity AND NOT has_sequence_privilege(oid, 'USAGE, UPDATE')"
)
_VERSION: Final = Statement(
    "SELECT (SELECT version_num FROM alembic_version)"
    " /* PostgreSQL: , current_setting('server_encoding'), current_setting('transaction_read_only'),"
    f" array({_MISSING}), array({UNNUMBERED}), array({_PASSING}), array({_LACKING}) */"
)
"""The schema's version; of PostgreSQL also whether it holds every name and takes writes, what it has not, in which
tables rows come without a number, which it would empty after a crash and which rights we lack."""
_WRITE_NOTHING: Final = {
    # A page as it was, and for that SQLite needs room: what writes no row, or is rolled back, works on a full disk too.
    "sqlite": Statement("UPDATE alembic_version SET version_num = version_num"),
    "postgresql": Statement("UPDATE users SET id = id WHERE 1 = 0"),
}
_HAS_VERSION: Final = {
    "sqlite": Statement("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"),
    "postgresql": Statement(
        "SELECT name FROM (SELECT to_regclass('alembic_version')::text AS name) AS t WHERE name <> ''"
    ),
}
_CLOCK: Final = Statement("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")


async def check(store: Store, *, to_write: bool = True) -> None:
    """Compare the database's version with the one that this code is written for.

    Args:
        store: the database.
        to_write: whether one that only reads will not do, as a standby of PostgreSQL. On SQLite a file that we may
            not write is found by ``rehearse``.

    Raises:
        SchemaRefused: it is behind, or nothing that we know, or in an encoding that lacks characters; or parts of it
            are missing, or rows would get no number, or would be empty after a crash.
        Unavailable: it takes no writes, or not all of ours from this user.
    """

    async def find(connection: Connection) -> Row | None:
        has_version = first(await connection.fetch(_HAS_VERSION[store.dialect]))
        return None if has_version is None else first(await connection.fetch(_VERSION))

    version, *of_postgresql = await store.watch(find) or (None,)
    if of_postgresql:
        encoding, is_read_only, missing, unnumbered, passing, lacking = of_postgresql
        expect_utf8(encoding)
        if version == HEAD and missing:
            raise SchemaRefused(
                f"WATCHWORD_DATABASE_URL: the database is at schema {HEAD} without its own {', '.join(missing)};"
                " restore it, or see what comes first in search_path"
            )
        if version == HEAD and passing:  # a logout would be undone
            raise SchemaRefused(
                f"WATCHWORD_DATABASE_URL: a crash of PostgreSQL would empty {', '.join(passing)};"
                " run ALTER TABLE … SET LOGGED on each in turn"
            )
        if to_write and version in {HEAD, None}:  # None: where row security hides it, that must be named
            _expect_to_write(is_read_only, lacking)
        if version == HEAD and unnumbered:  # there would be no logout; asked last, as it reads the table
            advice = await store.watch(partial(as_identity, table=unnumbered[0]))
            raise SchemaRefused(
                f"WATCHWORD_DATABASE_URL: the database gives rows no number that should have one; do {advice}"
            )
    if version is None:
        raise SchemaRefused("WATCHWORD_DATABASE_URL: the database has no tables of ours yet; run `watchword migrate`")
    if version == HEAD:
        return
    if knows(version):
        raise SchemaRefused(
            f"WATCHWORD_DATABASE_URL: the database is at schema {version}, behind {HEAD}; run `watchword migrate`"
        )
    raise SchemaRefused(
        f"WATCHWORD_DATABASE_URL: the database is at schema {version}, which this version does not know;"
        " it needs a newer Watchword"
    )


def expect_utf8(encoding: str) -> None:
    """See that a PostgreSQL database can hold every name: of one that it cannot, a login would be 503 and not 401.

    Args:
        encoding: its ``server_encoding``, which it has for life. SQL_ASCII is none: bytes are kept as they come, and
            ours are UTF-8.

    Raises:
        SchemaRefused: it is another one.
    """
    if encoding not in {"UTF8", "SQL_ASCII"}:
        raise SchemaRefused(
            f"WATCHWORD_DATABASE_URL: the database has the encoding {encoding}, which cannot hold every name; make one"
            " with CREATE DATABASE watchword ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
        )


def _expect_to_write(is_read_only: str, lacking: list[str]) -> None:
    if is_read_only == "on":
        raise Unavailable("the database takes no writes; is it a standby, or set to default_transaction_read_only?")
    if lacking:
        raise Unavailable(f"the database's owner has not granted this user {', '.join(lacking)}")


async def rehearse(store: Store) -> None:
    """Write nothing new, which a database that takes no writes refuses as well, and an SQLite file without room.

    Raises:
        Unavailable: it does.
    """
    with suppress(Locked):  # whoever writes there ends some time
        await store.write(lambda connection: connection.fetch(_WRITE_NOTHING[store.dialect]))


async def clock(connection: Connection) -> int:
    """The time that PostgreSQL has, which is one for all nodes, in seconds since the epoch."""
    ((seconds,),) = await connection.fetch(_CLOCK)
    return int(seconds)
