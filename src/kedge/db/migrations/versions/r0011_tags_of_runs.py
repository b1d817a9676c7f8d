"""Runs have tags, by which they are found, and schedules those of their runs."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import TEXT

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table; what ran before has no tags."""
    for table in ("runs", "recurring_runs"):
        op.add_column(table, sa.Column("tags", TEXT, nullable=False, server_default="{}"))
    op.create_table(
        "run_tags",
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("value", TEXT, nullable=False),
    )
    op.create_index("ix_run_tags", "run_tags", ["key", "value", "run_id"])
