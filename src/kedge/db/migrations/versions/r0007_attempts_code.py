"""Which pipeline each attempt ran: a run may have been resumed with another."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import TEXT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; attempts from before say nothing, which means what their run says."""
    op.add_column("attempts", sa.Column("spec_digest", TEXT))
