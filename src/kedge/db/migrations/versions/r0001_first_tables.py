"""The first tables."""

import sqlalchemy as sa
from alembic import op

from kedge.db.types import INTEGER, TEXT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, server_default="", nullable=False),
        sa.Column("storage_state", TEXT, server_default="AVAILABLE", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_run_created_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("experiment_id"),
    )
    op.create_index("ix_experiments_created", "experiments", ["created_at", "experiment_id"], unique=False)
    op.create_index("ix_experiments_name", "experiments", ["namespace", "display_name"], unique=True)


def _pipelines() -> None:
    op.create_table(
        "pipelines",
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, server_default="", nullable=False),
        sa.Column("tags", TEXT, server_default="{}", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline_id"),
    )
    op.create_index("ix_pipelines_created", "pipelines", ["created_at", "pipeline_id"], unique=False)
    op.create_index("ix_pipelines_name", "pipelines", ["namespace", "name"], unique=True)


def _specs() -> None:
    op.create_table(
        "specs",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("pipeline", sa.LargeBinary(), nullable=False),
        sa.Column("platform", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )


def _pipeline_versions() -> None:
    op.create_table(
        "pipeline_versions",
        sa.Column("pipeline_version_id", TEXT, nullable=False),
        sa.Column("pipeline_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, server_default="", nullable=False),
        sa.Column("spec_digest", TEXT, nullable=False),
        sa.Column("tags", TEXT, server_default="{}", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipelines.pipeline_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["spec_digest"],
            ["specs.digest"],
        ),
        sa.PrimaryKeyConstraint("pipeline_version_id"),
    )
    op.create_index(
        "ix_pipeline_versions_created", "pipeline_versions", ["pipeline_id", "created_at", "pipeline_version_id"], unique=False
    )
    op.create_index("ix_pipeline_versions_name", "pipeline_versions", ["pipeline_id", "name"], unique=True)
    op.create_index("ix_pipeline_versions_spec", "pipeline_versions", ["spec_digest"], unique=False)


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT, nullable=False),
        sa.Column("description", TEXT, server_default="", nullable=False),
        sa.Column("experiment_id", TEXT, nullable=True),
        sa.Column("pipeline_id", TEXT, nullable=True),
        sa.Column("pipeline_version_id", TEXT, nullable=True),
        sa.Column("pipeline_name", TEXT, nullable=False),
        sa.Column("spec_digest", TEXT, nullable=False),
        sa.Column("parameters", TEXT, nullable=False),
        sa.Column("pipeline_root", TEXT, nullable=False),
        sa.Column("service_account", TEXT, server_default="", nullable=False),
        sa.Column("cache", INTEGER, server_default="1", nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("state_history", TEXT, server_default="[]", nullable=False),
        sa.Column("storage_state", TEXT, server_default="AVAILABLE", nullable=False),
        sa.Column("cancel_reason", TEXT, nullable=True),
        sa.Column("failure", TEXT, nullable=True),
        sa.Column("outputs", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.experiment_id"],
        ),
        sa.ForeignKeyConstraint(
            ["spec_digest"],
            ["specs.digest"],
        ),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("ix_runs_created", "runs", ["created_at", "run_id"], unique=False)
    op.create_index("ix_runs_display_name", "runs", ["display_name"], unique=False)
    op.create_index("ix_runs_experiment", "runs", ["experiment_id", "created_at", "run_id"], unique=False)
    op.create_index(
        "ix_runs_live",
        "runs",
        ["run_id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("ix_runs_name", "runs", ["name"], unique=False)
    op.create_index("ix_runs_namespace", "runs", ["namespace", "created_at", "run_id"], unique=False)
    op.create_index("ix_runs_spec", "runs", ["spec_digest"], unique=False)


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("artifact_id", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("uri", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("metadata", TEXT, server_default="{}", nullable=False),
        sa.Column("run_id", TEXT, nullable=True),
        sa.Column("task_id", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("artifact_id"),
    )
    op.create_index("ix_artifacts_created", "artifacts", ["namespace", "created_at", "artifact_id"], unique=False)
    op.create_index("ix_artifacts_run", "artifacts", ["run_id", "task_id"], unique=False)
    op.create_index("ix_artifacts_uri", "artifacts", ["uri"], unique=False, postgresql_using="spgist")


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("attempt", INTEGER, nullable=False),
        sa.Column("pod_name", TEXT, nullable=False),
        sa.Column("pod_uid", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("exit_code", INTEGER, nullable=True),
        sa.Column("infra", INTEGER, server_default="0", nullable=False),
        sa.Column("staged", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("pod_kept", INTEGER, server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "task_id", "attempt"),
    )
    op.create_index(
        "ix_attempts_kept",
        "attempts",
        ["finished_at"],
        unique=False,
        sqlite_where=sa.text("pod_kept = 1 AND finished_at IS NOT NULL"),
        postgresql_where=sa.text("pod_kept = 1 AND finished_at IS NOT NULL"),
    )
    op.create_index("ix_attempts_pod", "attempts", ["pod_uid"], unique=True)


def _task_artifacts() -> None:
    op.create_table(
        "task_artifacts",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("position", INTEGER, nullable=False),
        sa.Column("artifact_id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "task_id", "direction", "key", "position"),
    )
    op.create_index("ix_task_artifacts_artifact", "task_artifacts", ["artifact_id"], unique=False)


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("parent", TEXT, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("component", TEXT, nullable=False),
        sa.Column("executor", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("waiting", TEXT, nullable=True),
        sa.Column("iteration", INTEGER, nullable=True),
        sa.Column("iterations", INTEGER, nullable=True),
        sa.Column("attempt", INTEGER, nullable=False),
        sa.Column("infra_failures", INTEGER, nullable=False),
        sa.Column("inputs", TEXT, nullable=True),
        sa.Column("outputs", TEXT, nullable=True),
        sa.Column("failure", TEXT, nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("cache_key", TEXT, nullable=False),
        sa.Column("cached_from", TEXT, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("pipeline_name", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "task_id"),
    )
    op.create_index(
        "ix_tasks_cache",
        "tasks",
        ["cache_key", "namespace", "pipeline_name", "finished_at"],
        unique=False,
        sqlite_where=sa.text("cache_key <> '' AND state = 'SUCCEEDED'"),
        postgresql_where=sa.text("cache_key <> '' AND state = 'SUCCEEDED'"),
    )


def upgrade() -> None:
    """Make them."""
    _experiments()
    _pipelines()
    _specs()
    _pipeline_versions()
    _runs()
    _artifacts()
    _attempts()
    _task_artifacts()
    _tasks()


def downgrade() -> None:
    """Drop them, and with them the history."""
    op.drop_table("tasks")
    op.drop_table("task_artifacts")
    op.drop_table("attempts")
    op.drop_table("artifacts")
    op.drop_table("runs")
    op.drop_table("pipeline_versions")
    op.drop_table("specs")
    op.drop_table("pipelines")
    op.drop_table("experiments")
