"""Series of numbers that steps log while they run."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of series and of their points."""
    op.create_table(
        "metric_series",
        sa.Column("series_id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
    )
    key = ["run_id", "task_id", "name", "attempt", "artifact", "position"]
    op.create_index("ix_metric_series", "metric_series", key, unique=True)
    op.create_table(
        "metric_points",
        sa.Column("series_id", sa.Integer, sa.ForeignKey("metric_series.series_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float),
        sqlite_with_rowid=False,
    )
