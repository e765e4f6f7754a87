"""The tables, as Alembic reads them. Times are whole seconds since the epoch; identifiers are text that we make.

A service does not load this file, for SQLAlchemy would be a third of its memory; its statements stand beside it.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("canonical_name", Text, nullable=False, unique=True),
    Column("password_hash", Text),
    Column("password_version", Integer, nullable=False),
    Column("scope", Text, nullable=False),
    Column("disabled_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("sessions_of_user", "user_id"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    # One key per generation: of several processes that make the first key at once, the database keeps one.
    Column("algorithm", Text, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("kid", Text, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
