"""What was said of steps' Pods."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pod_events",
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("task_id", TEXT, primary_key=True),
        sa.Column("attempt", INTEGER, primary_key=True),
        sa.Column("event_id", TEXT, primary_key=True),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
