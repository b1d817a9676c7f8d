"""Lists of runs can be narrowed down to a pipeline by its name, stored or not."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FILTERED = ["storage_state", "state", "display_name", "experiment_id", "pipeline_id", "pipeline_version_id", "recurring_run_id"]


def upgrade() -> None:
    """Make the index of all runs anew, with one more column."""
    op.drop_index("ix_runs_created", table_name="runs")
    columns = ["created_at", "run_id", "namespace", *_FILTERED, "finished_at", "scheduled_at", "pipeline_name"]
    op.create_index("ix_runs_created", "runs", columns, unique=False)
