"""What each attempt used of processors and memory."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of attempts from before it is not known."""
    op.add_column("attempts", sa.Column("cpu_seconds", sa.Float))
    op.add_column("attempts", sa.Column("peak_memory", sa.BigInteger))
