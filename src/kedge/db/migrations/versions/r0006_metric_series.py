"""Series of numbers that steps log while they run."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of series and of their points."""
    op.create_table(
        "metric_series",
        sa.Column("series_id", INTEGER, primary_key=True),
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("attempt", INTEGER, nullable=False),
        sa.Column("artifact", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
    )
    key = ["run_id", "task_id", "name", "attempt", "artifact", "position"]
    op.create_index("ix_metric_series", "metric_series", key, unique=True)
    op.create_table(
        "metric_points",
        sa.Column("series_id", INTEGER, sa.ForeignKey("metric_series.series_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float),
        sqlite_with_rowid=False,
    )
