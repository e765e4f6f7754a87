"""The tables, as Alembic reads them. Times are whole seconds since the epoch; identifiers are text that we make.

A service does not load this file, for SQLAlchemy would be a third of its memory; its statements stand beside it.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

_Number = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives: SQLite does so for the type INTEGER alone."""

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
    Column("salt", LargeBinary, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("refreshed_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("token_expires_at", BigInteger, nullable=False),
    Column("password_version", Integer, nullable=False),
    Column("network", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Index("sessions_of_user", "user_id"),
    Index("sessions_by_end", "ends_at"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("session_id", Text, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("revocations_by_expiry", "expires_at"),
    Index("revocations_of_session", "session_id"),
    sqlite_autoincrement=True,  # or the number of a row that was removed would be given again
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("writer", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds since the epoch
    Column("event", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("user_id", Text, nullable=False),  # no foreign key: what happened outlives whom it happened to
    Column("session_id", Text, nullable=False),
    Column("network", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("audit_events_in_order", "writer", "seq", unique=True),
    Index("audit_events_by_time", "at"),
    sqlite_autoincrement=True,
)

audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # milliseconds since the epoch
    Column("digest", LargeBinary, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

tallies = Table(
    "tallies",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # a digest: people type passwords where names belong
    Column("failures", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("young", Integer, nullable=False),
    Column("old", Integer, nullable=False),
    Column("over_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("tallies_by_end", "over_at"),
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
    Column("signs_from", BigInteger, nullable=False),
    Column("verifies_until", BigInteger),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("secret_digest", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
