"""What somebody asked to delete and is not gone yet."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of deletions."""
    op.create_table(
        "deletions",
        sa.Column("subject", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("keep", INTEGER, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_deletions", "deletions", ["kind", "created_at", "subject", "keep"])
