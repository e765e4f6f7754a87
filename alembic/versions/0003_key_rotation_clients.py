"""What verifying elsewhere needs: when a signing key begins to sign and ends to verify; the clients that may ask."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The keys of before sign already, and verify until one that follows has taken over."""
    with op.batch_alter_table("signing_keys") as signing_keys:
        signing_keys.add_column(sa.Column("signs_from", sa.BigInteger))
        signing_keys.add_column(sa.Column("verifies_until", sa.BigInteger))
    op.execute("UPDATE signing_keys SET signs_from = created_at")
    with op.batch_alter_table("signing_keys") as signing_keys:
        signing_keys.alter_column("signs_from", existing_type=sa.BigInteger, nullable=False)
    op.create_table(
        "clients",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("secret_digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
