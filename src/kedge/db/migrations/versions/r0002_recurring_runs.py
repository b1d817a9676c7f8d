"""Recurring runs, tags that can be searched, and indexes that answer a list of runs by themselves."""

import json

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT, indexable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_RUN_INDEXES = {
    "ix_runs_created": [
        "created_at",
        "run_id",
        "namespace",
        "storage_state",
        "state",
        "display_name",
        "experiment_id",
        "pipeline_id",
        "pipeline_version_id",
        "recurring_run_id",
        "finished_at",
        "scheduled_at",
    ],
    "ix_runs_finished": ["finished_at", "run_id"],
    "ix_runs_namespace": ["namespace", "created_at", "run_id", "storage_state", "state", "display_name", "experiment_id"],
    "ix_runs_experiment": ["experiment_id", "created_at", "run_id", "namespace", "storage_state", "state", "display_name"],
    "ix_runs_state": ["state", "created_at", "run_id", "namespace", "storage_state", "experiment_id"],
    "ix_runs_recurring": ["recurring_run_id", "created_at", "run_id"],
    "ix_runs_display_name": ["display_name", "created_at", "run_id", "namespace", "storage_state", "state", "experiment_id"],
}
_NEW = {"ix_runs_state", "ix_runs_recurring", "ix_runs_finished"}
# Index: its table and columns. The first two were narrower.
_OTHER_INDEXES = {
    "ix_experiments_created": (
        "experiments",
        ["created_at", "experiment_id", "namespace", "storage_state", "display_name", "description"],
    ),
    "ix_pipelines_created": ("pipelines", ["created_at", "pipeline_id", "namespace", "name", "display_name", "description"]),
    "ix_experiments_display_name": ("experiments", ["display_name", "experiment_id"]),
    "ix_experiments_last_run": ("experiments", ["last_run_created_at", "experiment_id"]),
    "ix_pipelines_plain_name": ("pipelines", ["name", "pipeline_id"]),
    "ix_pipelines_display_name": ("pipelines", ["display_name", "pipeline_id"]),
    "ix_artifacts_age": ("artifacts", ["created_at", "artifact_id", "namespace", "name", "type", "uri", "run_id"]),
    "ix_artifacts_name": ("artifacts", ["name", "artifact_id"]),
    "ix_artifacts_type": ("artifacts", ["type", "artifact_id"]),
}


def _runs() -> None:
    op.add_column("runs", sa.Column("recurring_run_id", TEXT, nullable=True))
    op.add_column("runs", sa.Column("scheduled_at", sa.BigInteger(), nullable=True))
    for name, columns in _RUN_INDEXES.items():
        if name not in _NEW:
            op.drop_index(name, table_name="runs")
        op.create_index(name, "runs", columns, unique=False)
    live = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_runs_recurring_live", "runs", ["recurring_run_id"], unique=False, sqlite_where=live, postgresql_where=live
    )


def _others() -> None:
    for name, (table, columns) in _OTHER_INDEXES.items():
        if name in {"ix_experiments_created", "ix_pipelines_created"}:
            op.drop_index(name, table_name=table)
        op.create_index(name, table, indexable(columns, op.get_bind().dialect.name), unique=False)


def _tags(owner: str, key: str) -> None:
    name = f"{owner.removesuffix('s')}_tags"
    op.create_table(
        name,
        sa.Column(key, TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint([key], [f"{owner}.{key}"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(key, "key"),
    )
    op.create_index(f"ix_{name}", name, ["key", "value", key], unique=False)
    rows = sa.table(owner, sa.column(key), sa.column("tags"))
    made = sa.table(name, sa.column(key), sa.column("key"), sa.column("value"))
    for identity, tags in op.get_bind().execute(sa.select(rows.c[key], rows.c.tags)).all():
        for tag, value in json.loads(tags).items():
            op.execute(made.insert().values({key: identity, "key": tag, "value": value}))


def _versions() -> None:
    for name in ("code_source_url", "package_url"):
        op.add_column("pipeline_versions", sa.Column(name, TEXT, server_default="", nullable=False))


def _recurring_runs() -> None:
    op.create_table(
        "recurring_runs",
        sa.Column("recurring_run_id", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, server_default="", nullable=False),
        sa.Column("experiment_id", TEXT, nullable=True),
        sa.Column("pipeline_id", TEXT, nullable=True),
        sa.Column("pipeline_version_id", TEXT, nullable=True),
        sa.Column("spec_digest", TEXT, nullable=True),
        sa.Column("parameters", TEXT, nullable=False),
        sa.Column("pipeline_root", TEXT, server_default="", nullable=False),
        sa.Column("service_account", TEXT, server_default="", nullable=False),
        sa.Column("trigger", TEXT, nullable=False),
        sa.Column("max_concurrency", INTEGER, nullable=False),
        sa.Column("no_catchup", INTEGER, nullable=False),
        sa.Column("enabled", INTEGER, nullable=False),
        sa.Column("fired", INTEGER, server_default="0", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.experiment_id"]),
        sa.ForeignKeyConstraint(["spec_digest"], ["specs.digest"]),
        sa.PrimaryKeyConstraint("recurring_run_id"),
    )
    filtered = ["namespace", "display_name", "description", "experiment_id", "pipeline_id", "pipeline_version_id", "updated_at"]
    order = ["created_at", "recurring_run_id"]
    indexes = {
        "created": [*order, *filtered],
        "namespace": ["namespace", *order],
        "experiment": ["experiment_id", *order],
        "name": ["display_name", *order],
    }
    for name, columns in indexes.items():
        fitting = indexable(columns, op.get_bind().dialect.name)
        op.create_index(f"ix_recurring_runs_{name}", "recurring_runs", fitting, unique=False)
    op.create_index("ix_recurring_runs_spec", "recurring_runs", ["spec_digest"], unique=False)
    enabled = sa.text("enabled = 1")
    op.create_index(
        "ix_recurring_runs_enabled",
        "recurring_runs",
        ["recurring_run_id"],
        unique=False,
        sqlite_where=enabled,
        postgresql_where=enabled,
    )


def _firings() -> None:
    op.create_table(
        "firings",
        sa.Column("recurring_run_id", TEXT, nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("run_name", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["recurring_run_id"], ["recurring_runs.recurring_run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("recurring_run_id", "moment"),
    )
    still_open = sa.text("run_id IS NULL AND error IS NULL")
    op.create_index(
        "ix_firings_open",
        "firings",
        ["recurring_run_id"],
        unique=False,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def upgrade() -> None:
    """Make the tables, and the indexes of runs anew."""
    _runs()
    _others()
    _versions()
    _tags("pipelines", "pipeline_id")
    _tags("pipeline_versions", "pipeline_version_id")
    _recurring_runs()
    _firings()
