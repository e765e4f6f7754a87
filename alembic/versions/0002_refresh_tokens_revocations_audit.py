"""What refreshing and ending sessions needs: counters, lifetimes, the feed of revocations, audit events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LONGEST_TOKEN = 86_400  # seconds that an access token may have been given, whatever the settings were

NEW = (
    sa.Column("salt", sa.LargeBinary),
    sa.Column("counter", sa.BigInteger),
    sa.Column("refreshed_at", sa.BigInteger),
    sa.Column("ends_at", sa.BigInteger),
    sa.Column("token_expires_at", sa.BigInteger),
    sa.Column("password_version", sa.Integer),
    sa.Column("network", sa.Text),
    sa.Column("user_agent", sa.Text),
)


def upgrade() -> None:
    """Give sessions what a refresh needs; those of before have no refresh token and go on until they end."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    with op.batch_alter_table("sessions") as sessions:
        for column in NEW:
            sessions.add_column(column)
    salt = "uuid_send(gen_random_uuid())" if is_postgresql else "randomblob(16)"
    op.execute(
        f"UPDATE sessions SET salt = {salt}, counter = 0, refreshed_at = auth_time, ends_at = expires_at,"
        f" token_expires_at = auth_time + {LONGEST_TOKEN}, network = '', user_agent = '',"
        " password_version = (SELECT password_version FROM users WHERE users.id = user_id)"
    )
    with op.batch_alter_table("sessions") as sessions:
        for column in NEW:
            sessions.alter_column(column.name, existing_type=column.type, nullable=False)
    op.create_index("sessions_by_end", "sessions", ["ends_at"])
    op.create_table(
        "revocations",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("revocations_by_expiry", "revocations", ["expires_at"])
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
    )
