"""What the cache holds, newest first."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    columns = ["finished_at", "run_id", "task_id", "namespace", "pipeline_name", "component", "name"]
    kept = sa.text("cache_key <> '' AND state = 'SUCCEEDED'")
    op.create_index("ix_tasks_entries", "tasks", columns, unique=False, sqlite_where=kept, postgresql_where=kept)
