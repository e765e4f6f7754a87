"""What the throttle remembers: one tally for each account, each network, and each pair that is familiar."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was counted before, and no network is familiar yet."""
    op.create_table(
        "tallies",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("young", sa.Integer, nullable=False),
        sa.Column("old", sa.Integer, nullable=False),
        sa.Column("over_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("tallies_by_end", "tallies", ["over_at"])
