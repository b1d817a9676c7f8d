"""OpenLineage events that are on their way."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lineage_events",
        sa.Column("seq", INTEGER, primary_key=True),
        *(sa.Column(name, TEXT, nullable=False) for name in ("run_id", "task_id")),
        sa.Column("generation", INTEGER, nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("kind", "event", "spec_digest", "component", "executor")),
        sa.Column("sent", INTEGER, nullable=False),
    )
    op.create_index("ix_lineage_events", "lineage_events", ["run_id", "task_id", "generation", "kind"], unique=True)
    waiting = sa.text("sent = 0")
    op.create_index("ix_lineage_events_waiting", "lineage_events", ["seq"], sqlite_where=waiting, postgresql_where=waiting)
