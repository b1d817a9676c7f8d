"""The tables of the history database, the same on SQLite and PostgreSQL.

Column types are the plain ones that both have and that need no conversion on the way: text, big integers and floats. Times are
microseconds since 1970 (UTC), flags are 0 or 1, and what has an inner structure is JSON text. What is asked for by value is a
column of its own with an index; a test asks the query planner about every statement of the history.
"""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, LargeBinary, MetaData, Table, text

from kedge.db.types import INTEGER, TEXT, indexable

metadata = MetaData()


def _covering(name: str, *columns: str) -> tuple[Index, Index]:
    """An index that answers counts by itself, on each database with what it can hold; see `indexable`."""
    return (
        Index(name, *indexable(columns, "sqlite")).ddl_if(dialect="sqlite"),
        Index(name, *indexable(columns, "postgresql")).ddl_if(dialect="postgresql"),
    )


# A pipeline's IR and platform document, once for each content: a thousand runs of one pipeline store it once.
specs = Table(
    "specs",
    metadata,
    Column("digest", TEXT, primary_key=True),  # sha256:<hex> of both documents
    Column("pipeline", LargeBinary, nullable=False),  # PipelineSpec, JSON, zlib
    Column("platform", LargeBinary),  # platform spec, JSON, zlib
    Column("created_at", BigInteger, nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", TEXT, primary_key=True),
    Column("namespace", TEXT, nullable=False),
    Column("display_name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("storage_state", TEXT, nullable=False, server_default="AVAILABLE"),  # or ARCHIVED
    Column("created_at", BigInteger, nullable=False),
    Column("last_run_created_at", BigInteger),
    Index("ix_experiments_name", "namespace", "display_name", unique=True),
    # Here and below: what lists are filtered by is in the index of their order, so that a count reads nothing else.
    *_covering(
        "ix_experiments_created", "created_at", "experiment_id", "namespace", "storage_state", "display_name", "description"
    ),
    Index("ix_experiments_display_name", "display_name", "experiment_id"),
    Index("ix_experiments_last_run", "last_run_created_at", "experiment_id"),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("pipeline_id", TEXT, primary_key=True),
    Column("namespace", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("display_name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("tags", TEXT, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_pipelines_name", "namespace", "name", unique=True),
    *_covering("ix_pipelines_created", "created_at", "pipeline_id", "namespace", "name", "display_name", "description"),
    Index("ix_pipelines_plain_name", "name", "pipeline_id"),
    Index("ix_pipelines_display_name", "display_name", "pipeline_id"),
)

pipeline_versions = Table(
    "pipeline_versions",
    metadata,
    Column("pipeline_version_id", TEXT, primary_key=True),
    Column("pipeline_id", TEXT, ForeignKey("pipelines.pipeline_id", ondelete="CASCADE"), nullable=False),
    Column("name", TEXT, nullable=False),
    Column("display_name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("spec_digest", TEXT, ForeignKey("specs.digest"), nullable=False),
    Column("tags", TEXT, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("code_source_url", TEXT, nullable=False, server_default=""),
    Column("package_url", TEXT, nullable=False, server_default=""),
    Index("ix_pipeline_versions_name", "pipeline_id", "name", unique=True),
    Index("ix_pipeline_versions_created", "pipeline_id", "created_at", "pipeline_version_id"),
    Index("ix_pipeline_versions_spec", "spec_digest"),
)


def _tags(name: str, owner: Table, key: str) -> Table:
    """Tags as rows of their own, so that a filter by one is an index seek; the owner's column of JSON is what is shown."""
    return Table(
        name,
        metadata,
        Column(key, TEXT, ForeignKey(f"{owner.name}.{key}", ondelete="CASCADE"), primary_key=True),
        Column("key", TEXT, primary_key=True),
        Column("value", TEXT, nullable=False),
        Index(f"ix_{name}", "key", "value", key),
    )


pipeline_tags = _tags("pipeline_tags", pipelines, "pipeline_id")
pipeline_version_tags = _tags("pipeline_version_tags", pipeline_versions, "pipeline_version_id")

# What starts runs by itself. What it has started is in `firings`.
_RECURRING_FILTERED = (
    "namespace", "display_name", "description", "experiment_id", "pipeline_id", "pipeline_version_id", "updated_at",
)  # fmt: skip

recurring_runs = Table(
    "recurring_runs",
    metadata,
    Column("recurring_run_id", TEXT, primary_key=True),
    Column("namespace", TEXT, nullable=False),
    Column("display_name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("experiment_id", TEXT, ForeignKey("experiments.experiment_id")),
    Column("pipeline_id", TEXT),  # no foreign keys: it outlives the pipeline, and then says what it lacks
    Column("pipeline_version_id", TEXT),  # NULL: the newest at each firing
    Column("spec_digest", TEXT, ForeignKey("specs.digest")),  # of a pipeline that was given inline
    Column("parameters", TEXT, nullable=False),
    Column("pipeline_root", TEXT, nullable=False, server_default=""),
    Column("service_account", TEXT, nullable=False, server_default=""),
    Column("trigger", TEXT, nullable=False),  # JSON
    Column("max_concurrency", INTEGER, nullable=False),
    Column("no_catchup", INTEGER, nullable=False),
    Column("enabled", INTEGER, nullable=False),
    Column("fired", INTEGER, nullable=False, server_default="0"),  # how often
    Column("since", BigInteger, nullable=False),  # moments up to this one are dealt with
    Column("error", TEXT),  # why the last moment started no run
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("tags", TEXT, nullable=False, server_default="{}"),  # of its runs
    *_covering("ix_recurring_runs_created", "created_at", "recurring_run_id", *_RECURRING_FILTERED),
    Index("ix_recurring_runs_namespace", "namespace", "created_at", "recurring_run_id"),
    Index("ix_recurring_runs_experiment", "experiment_id", "created_at", "recurring_run_id"),
    Index("ix_recurring_runs_name", "display_name", "created_at", "recurring_run_id"),
    Index("ix_recurring_runs_spec", "spec_digest"),
    Index(
        "ix_recurring_runs_enabled", "recurring_run_id", sqlite_where=text("enabled = 1"), postgresql_where=text("enabled = 1")
    ),
)

# Each moment of a recurring run at most once, whatever is killed when: the key says so.
firings = Table(
    "firings",
    metadata,
    Column("recurring_run_id", TEXT, ForeignKey("recurring_runs.recurring_run_id", ondelete="CASCADE"), primary_key=True),
    Column("moment", BigInteger, primary_key=True),
    Column("run_name", TEXT, nullable=False),  # of the Run object: a function of both, so that making it twice makes one
    Column("position", INTEGER, nullable=False),  # the how-manieth firing it is, from 1
    Column("run_id", TEXT),  # NULL until the Run is known to exist
    Column("error", TEXT),  # why there is none
    Index(
        "ix_firings_open",
        "recurring_run_id",
        sqlite_where=text("run_id IS NULL AND error IS NULL"),
        postgresql_where=text("run_id IS NULL AND error IS NULL"),
    ),
)

_FILTERED = ("storage_state", "state", "display_name", "experiment_id")
_RARELY_FILTERED = ("pipeline_id", "pipeline_version_id", "recurring_run_id", "finished_at", "scheduled_at", "pipeline_name")

runs = Table(
    "runs",
    metadata,
    Column("run_id", TEXT, primary_key=True),  # metadata.uid of the Run object
    Column("namespace", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),  # metadata.name of the Run object
    Column("display_name", TEXT, nullable=False),
    Column("description", TEXT, nullable=False, server_default=""),
    Column("experiment_id", TEXT, ForeignKey("experiments.experiment_id")),
    Column("pipeline_id", TEXT),  # no foreign keys: a run outlives the pipeline that it was started from
    Column("pipeline_version_id", TEXT),
    Column("pipeline_name", TEXT, nullable=False),
    Column("spec_digest", TEXT, ForeignKey("specs.digest"), nullable=False),
    Column("parameters", TEXT, nullable=False),
    Column("pipeline_root", TEXT, nullable=False),
    Column("service_account", TEXT, nullable=False, server_default=""),
    Column("cache", INTEGER, nullable=False, server_default="1"),
    Column("state", TEXT, nullable=False),  # KFP's words
    Column("state_history", TEXT, nullable=False, server_default="[]"),
    Column("storage_state", TEXT, nullable=False, server_default="AVAILABLE"),
    Column("cancel_reason", TEXT),  # set once somebody asked for the end
    Column("failure", TEXT),
    Column("outputs", TEXT),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("recurring_run_id", TEXT),  # no foreign key either
    Column("scheduled_at", BigInteger),  # the moment of its recurring run
    Column("tags", TEXT, nullable=False, server_default="{}"),
    # A page and its count read one of these and nothing else: each holds what lists are filtered by, in the order of the pages.
    Index("ix_runs_created", "created_at", "run_id", "namespace", *_FILTERED, *_RARELY_FILTERED),
    Index("ix_runs_finished", "finished_at", "run_id"),
    Index("ix_runs_namespace", "namespace", "created_at", "run_id", *_FILTERED),
    Index("ix_runs_experiment", "experiment_id", "created_at", "run_id", "namespace", *_FILTERED[:3]),
    Index("ix_runs_state", "state", "created_at", "run_id", "namespace", "storage_state", "experiment_id"),
    Index("ix_runs_recurring", "recurring_run_id", "created_at", "run_id"),
    Index(
        "ix_runs_recurring_live",
        "recurring_run_id",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
    Index("ix_runs_live", "run_id", sqlite_where=text("finished_at IS NULL"), postgresql_where=text("finished_at IS NULL")),
    Index("ix_runs_name", "name"),
    Index("ix_runs_display_name", "display_name", "created_at", "run_id", "namespace", "storage_state", "state", "experiment_id"),
    Index("ix_runs_spec", "spec_digest"),
)

run_tags = _tags("run_tags", runs, "run_id")

tasks = Table(
    "tasks",
    metadata,
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", TEXT, primary_key=True),  # dotted path; "" is the root
    Column("name", TEXT, nullable=False),
    Column("parent", TEXT),
    Column("kind", TEXT, nullable=False),
    Column("component", TEXT, nullable=False),
    Column("executor", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("waiting", TEXT),  # what a PENDING task waits for
    Column("iteration", INTEGER),
    Column("iterations", INTEGER),
    Column("attempt", INTEGER, nullable=False),
    Column("infra_failures", INTEGER, nullable=False),
    Column("inputs", TEXT),
    Column("outputs", TEXT),
    Column("failure", TEXT),
    Column("retry_at", BigInteger),
    Column("cache_key", TEXT, nullable=False),
    Column("cached_from", TEXT, nullable=False),
    # The scope of the cache, kept here so that a look-up is one index seek.
    Column("namespace", TEXT, nullable=False),
    Column("pipeline_name", TEXT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Index(
        "ix_tasks_cache",
        "cache_key",
        "namespace",
        "pipeline_name",
        "finished_at",
        sqlite_where=text("cache_key <> '' AND state = 'SUCCEEDED'"),
        postgresql_where=text("cache_key <> '' AND state = 'SUCCEEDED'"),
    ),
    # What the cache holds, for those who list and clear it: newest first, with what it is chosen by.
    Index(
        "ix_tasks_entries",
        "finished_at",
        "run_id",
        "task_id",
        "namespace",
        "pipeline_name",
        "component",
        "name",
        sqlite_where=text("cache_key <> '' AND state = 'SUCCEEDED'"),
        postgresql_where=text("cache_key <> '' AND state = 'SUCCEEDED'"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", TEXT, primary_key=True),
    Column("attempt", INTEGER, primary_key=True),
    Column("pod_name", TEXT, nullable=False),
    Column("pod_uid", TEXT),  # known once the Pod was seen
    Column("state", TEXT, nullable=False),  # PENDING RUNNING SUCCEEDED FAILED CANCELED
    Column("reason", TEXT),
    Column("message", TEXT),
    Column("exit_code", INTEGER),
    Column("infra", INTEGER, nullable=False, server_default="0"),
    Column("staged", TEXT),  # outputs that a sidecar committed before the main container's exit was seen
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("pod_kept", INTEGER, nullable=False, server_default="1"),  # 0: the Pod was deleted after its end, with its log
    Column("spec_digest", TEXT),  # what it ran; NULL in rows of older hosts: what the run says
    Column("cpu_seconds", Float),  # what it used, where its node says so
    Column("peak_memory", BigInteger),  # bytes
    Index("ix_attempts_pod", "pod_uid", unique=True),
    Index(
        "ix_attempts_kept",
        "finished_at",
        sqlite_where=text("pod_kept = 1 AND finished_at IS NOT NULL"),
        postgresql_where=text("pod_kept = 1 AND finished_at IS NOT NULL"),
    ),
)

# What Kubernetes said of attempts' Pods, bounded for each attempt: it forgets it after an hour.
pod_events = Table(
    "pod_events",
    metadata,
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", TEXT, primary_key=True),
    Column("attempt", INTEGER, primary_key=True),
    Column("event_id", TEXT, primary_key=True),  # metadata.uid of the Event
    Column("type", TEXT, nullable=False),  # Normal or Warning
    Column("reason", TEXT, nullable=False),
    Column("message", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("count", INTEGER, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # its first resourceVersion, where that is a number
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("artifact_id", TEXT, primary_key=True),
    Column("namespace", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("type", TEXT, nullable=False),  # schemaTitle, such as system.Model
    Column("uri", TEXT, nullable=False),
    Column("digest", TEXT),
    Column("size", BigInteger),
    Column("metadata", TEXT, nullable=False, server_default="{}"),
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE")),  # who made it
    Column("task_id", TEXT),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_artifacts_uri", "uri", postgresql_using="spgist"),  # of any length; by address and by folder
    Index("ix_artifacts_run", "run_id", "task_id"),
    Index("ix_artifacts_created", "namespace", "created_at", "artifact_id"),
    *_covering("ix_artifacts_age", "created_at", "artifact_id", "namespace", "name", "type", "uri", "run_id"),
    Index("ix_artifacts_name", "name", "artifact_id"),
    Index("ix_artifacts_type", "type", "artifact_id"),
)

# What somebody asked to delete and is not gone yet: runs, and addresses in the artifact store.
deletions = Table(
    "deletions",
    metadata,
    Column("subject", TEXT, primary_key=True),  # a run's id, or an address
    Column("kind", TEXT, nullable=False),  # run, bytes, or import: bytes that stay if the run that they belong to arrives
    Column("keep", INTEGER, nullable=False),  # of a run: its artifacts stay
    Column("created_at", BigInteger, nullable=False),
    Index("ix_deletions", "kind", "created_at", "subject", "keep"),
)

# The edges of lineage: which task read or made which artifact, under which name.
task_artifacts = Table(
    "task_artifacts",
    metadata,
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", TEXT, primary_key=True),
    Column("direction", TEXT, primary_key=True),  # input or output
    Column("key", TEXT, primary_key=True),
    Column("position", INTEGER, primary_key=True),
    Column("artifact_id", TEXT, nullable=False),  # no foreign key: who read it is known after its maker's run was deleted
    Index("ix_task_artifacts_artifact", "artifact_id"),
)

# A series of numbers that an attempt logs while it runs: one metric of one output artifact.
metric_series = Table(
    "metric_series",
    metadata,
    Column("series_id", INTEGER, primary_key=True),
    Column("run_id", TEXT, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    Column("task_id", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("attempt", INTEGER, nullable=False),
    Column("artifact", TEXT, nullable=False),  # the output's name
    Column("position", INTEGER, nullable=False),  # within an output that is a list
    Index("ix_metric_series", "run_id", "task_id", "name", "attempt", "artifact", "position", unique=True),
)

# The points of series, by their step; narrow, because there are many.
metric_points = Table(
    "metric_points",
    metadata,
    Column("series_id", INTEGER, ForeignKey("metric_series.series_id", ondelete="CASCADE"), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("value", Float),  # NULL is NaN, which SQLite does not store
    sqlite_with_rowid=False,
)

# OpenLineage events that are not sent yet; those that are, without their text, until the end of their run was sent.
lineage_events = Table(
    "lineage_events",
    metadata,
    Column("seq", INTEGER, primary_key=True),  # in their order
    Column("run_id", TEXT, nullable=False),  # no foreign key: what happened is told of a deleted run too
    Column("task_id", TEXT, nullable=False),
    Column("generation", INTEGER, nullable=False),  # how often the run had gone on after an end
    Column("kind", TEXT, nullable=False),  # start or end
    Column("event", TEXT, nullable=False),  # JSON, without the code
    Column("spec_digest", TEXT, nullable=False),
    Column("component", TEXT, nullable=False),
    Column("executor", TEXT, nullable=False),
    Column("sent", INTEGER, nullable=False),
    Index("ix_lineage_events", "run_id", "task_id", "generation", "kind", unique=True),
    Index("ix_lineage_events_waiting", "seq", sqlite_where=text("sent = 0"), postgresql_where=text("sent = 0")),
)
