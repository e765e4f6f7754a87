"""An index to find the end of a session by: it is asked for in the one transaction at a time that SQLite lets write."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; the table holds the ends of a day or two."""
    op.create_index("revocations_of_session", "revocations", ["session_id"])
