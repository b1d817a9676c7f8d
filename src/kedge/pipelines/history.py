"""The history of runs: every statement about runs, tasks, attempts and artifacts.

A run's progress is written by `History.write` alone: whatever a batch of events changed, in one transaction, before anything is
done about it. Rows are written whole and by key, so that writing one twice is writing it once.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Table, and_, bindparam, case, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from kedge.db.database import Database
from kedge.db.tables import artifacts, attempts, experiments, run_tags, runs, specs, task_artifacts, tasks
from kedge.pipelines import filters, pages, rows
from kedge.pipelines.engine.types import Failure, State, Task, Values
from kedge.pipelines.records import ArtifactRecord, Attempt, Changes, Edge, RunRecord, Sample, Spec
from kedge.pipelines.run_changes import RunChanges
from kedge.pipelines.tally import Tally

RUN_LIST = pages.Listing(
    runs,
    runs.c.run_id,
    rows.read_run,
    {
        "run_id": runs.c.run_id,
        "id": runs.c.run_id,
        "name": runs.c.display_name,  # what v1 clients call it
        "display_name": runs.c.display_name,
        "created_at": runs.c.created_at,
        "finished_at": runs.c.finished_at,
        "scheduled_at": runs.c.scheduled_at,
        "state": runs.c.state,
        "storage_state": runs.c.storage_state,
        "experiment_id": runs.c.experiment_id,
        "namespace": runs.c.namespace,
        "pipeline_id": runs.c.pipeline_id,
        "pipeline_name": runs.c.pipeline_name,
        "pipeline_version_id": runs.c.pipeline_version_id,
        "recurring_run_id": runs.c.recurring_run_id,
    },
    frozenset({"run_id", "id", "name", "display_name", "created_at", "finished_at", "state", "experiment_id"}),
    tags=run_tags,
)
ARTIFACT_LIST = pages.Listing(
    artifacts,
    artifacts.c.artifact_id,
    rows.read_artifact,
    {
        "artifact_id": artifacts.c.artifact_id,
        "name": artifacts.c.name,
        "type": artifacts.c.type,
        "uri": artifacts.c.uri,
        "run_id": artifacts.c.run_id,
        "created_at": artifacts.c.created_at,
    },
    frozenset({"artifact_id", "name", "type", "uri", "run_id", "created_at"}),
    metadata=artifacts.c.metadata,
)
TASK_LIST = pages.Listing(
    tasks,
    tasks.c.task_id,  # of one run, never of all
    rows.read_task,
    {
        "task_id": tasks.c.task_id,
        "id": tasks.c.task_id,
        "name": tasks.c.name,
        "display_name": tasks.c.name,
        "state": tasks.c.state,
        "parent_task_id": tasks.c.parent,
        "created_at": tasks.c.created_at,
        "create_time": tasks.c.created_at,
    },
    frozenset({"task_id", "id", "name", "display_name", "created_at", "create_time"}),
)
_EDGE_KEY = tuple(task_artifacts.primary_key.columns)
_EDGES_BY = {"id": _EDGE_KEY, "run_id": _EDGE_KEY, "artifact_id": (task_artifacts.c.artifact_id, *_EDGE_KEY)}
_EDGE_FILTERS = filters.Filterable({name: task_artifacts.c[name] for name in ("artifact_id", "run_id", "task_id", "key")})


def upsert(table: Table, dialect: str, *, keep: bool = False, but: Collection[str] = (), by: Collection[str] = ()) -> Any:
    """A statement that writes a row, or replaces (``keep``: leaves) the one with its key.

    Args:
        table: Where to.
        dialect: SQL's.
        keep: Whether a row that is there stays as it is.
        but: Columns that are left alone.
        by: The columns of the key; the table's primary key unless said.
    """
    kind: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = kind(table)
    keys = list(by) or [column.name for column in table.primary_key]
    if keep:
        return statement.on_conflict_do_nothing(index_elements=keys)
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in {*keys, *but}}
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def write_tags(connection: Connection, table: Table, owner: str, tags: Mapping[str, str]) -> None:
    """Write the tags of something in place of those that it has."""
    column = next(iter(table.primary_key.columns))
    connection.execute(delete(table).where(column == owner))
    if tags:
        connection.execute(insert(table), [{column.name: owner, "key": key, "value": value} for key, value in tags.items()])


_one_run = select(runs).where(runs.c.run_id == bindparam("run"))
_live_runs = select(runs.c.run_id).where(runs.c.finished_at.is_(None))
_runs_in = select(func.count().label("number")).select_from(runs).where(runs.c.state == bindparam("state"))
_one_spec = select(specs).where(specs.c.digest == bindparam("digest"))
# In the order of their keys, in which SQLite finds them; PostgreSQL has rows that were written last at the end.
_tasks_of = select(tasks).where(tasks.c.run_id == bindparam("run")).order_by(tasks.c.task_id)
_task_count = select(func.count().label("number")).select_from(tasks).where(tasks.c.run_id == bindparam("run"))
_one_task = _tasks_of.where(tasks.c.task_id == bindparam("task"))
_attempts_of = select(attempts).where(attempts.c.run_id == bindparam("run")).order_by(attempts.c.task_id, attempts.c.attempt)
_attempts_of_task = _attempts_of.where(attempts.c.task_id == bindparam("task"))
_attempt_of_pod = select(attempts).where(attempts.c.pod_uid == bindparam("uid"))
_is_kept = and_(attempts.c.pod_kept == text("1"), attempts.c.finished_at.is_not(None))
_kept_pods = select(func.count()).select_from(attempts).where(_is_kept)
_oldest_kept = (
    select(attempts, runs.c.namespace)
    .join(runs, runs.c.run_id == attempts.c.run_id)
    .where(_is_kept)
    .order_by(attempts.c.finished_at)
    .limit(bindparam("limit"))
)
_forget_pod = (
    update(attempts)
    .where(
        attempts.c.run_id == bindparam("run"), attempts.c.task_id == bindparam("task"), attempts.c.attempt == bindparam("number")
    )
    .values(pod_kept=0)
)
_note_used = (
    update(attempts)
    .where(attempts.c.pod_uid == bindparam("uid"))
    .values(cpu_seconds=bindparam("cpu"), peak_memory=bindparam("memory"))
)
_add_used = (
    update(attempts)
    .where(attempts.c.pod_uid == bindparam("uid"))
    .values(
        cpu_seconds=func.coalesce(attempts.c.cpu_seconds, 0.0) + bindparam("cpu"),
        peak_memory=case((attempts.c.peak_memory > bindparam("memory"), attempts.c.peak_memory), else_=bindparam("memory")),
    )
)
_remove_task = delete(tasks).where(tasks.c.run_id == bindparam("run"), tasks.c.task_id == bindparam("task"))
_unlink_task = delete(task_artifacts).where(
    task_artifacts.c.run_id == bindparam("run"), task_artifacts.c.task_id == bindparam("task")
)
_one_artifact = select(artifacts).where(artifacts.c.artifact_id == bindparam("artifact"))
_artifact_at = select(artifacts).where(artifacts.c.uri == bindparam("uri")).order_by(artifacts.c.created_at.desc()).limit(50)
_edges_of = select(task_artifacts).where(task_artifacts.c.run_id == bindparam("run")).order_by(*task_artifacts.primary_key)
# KFP's scope of the cache: pipelines of one name in one namespace; the newest wins.
_cached = (
    select(tasks.c.run_id, tasks.c.task_id, tasks.c.outputs)
    .where(
        tasks.c.cache_key == bindparam("key"),
        # Literally as the partial index has them: the planner need not look at values to see that it fits.
        tasks.c.cache_key != text("''"),
        tasks.c.state == text("'SUCCEEDED'"),
        tasks.c.namespace == bindparam("namespace"),
        tasks.c.pipeline_name == bindparam("pipeline"),
        tasks.c.finished_at > bindparam("since"),
    )
    .order_by(tasks.c.finished_at.desc())
    .limit(1)
)

RUN_STATES = ("PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED")


class History:
    """Runs and all that belongs to them.

    Args:
        database: Where they are kept. Its errors pass through: `errors.Unavailable` means that nothing was written and that the
            same may be tried again.

    Attributes:
        journal: Called within each transaction that takes a run further, to write what is told of it elsewhere.
        tally: Counts what is written.
        run_changes: Told of each run that was written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.journal: Callable[[Connection, RunRecord, Changes], None] | None = None
        self.tally = Tally()
        self.run_changes = RunChanges()
        dialect = database.dialect
        self._put_task = upsert(tasks, dialect)
        self._put_attempt = upsert(attempts, dialect, but=("pod_kept", "cpu_seconds", "peak_memory"))
        self._put_artifact = upsert(artifacts, dialect)
        self._put_edge = upsert(task_artifacts, dialect)
        # What people note of a run is not the engine's, whose record may have it as it was.
        self._put_run = upsert(runs, dialect, but=("storage_state", "tags"))
        self._keep_run = upsert(runs, dialect, keep=True)
        self._keep_spec = upsert(specs, dialect, keep=True)
        self._keep_experiment = upsert(experiments, dialect, keep=True)

    # ---- what is written

    def adopt(self, run: RunRecord, spec: Spec) -> RunRecord:
        """Take a run into the history; one that is there already stays as it is.

        Returns:
            The run as the history now has it.
        """
        with self._database.writing() as connection:
            connection.execute(self._keep_spec, rows.spec_row(spec, run.created_at))
            made = connection.execute(self._keep_run, rows.run_row(run)).rowcount
            if made and run.tags:
                write_tags(connection, run_tags, run.id, run.tags)
            if run.experiment_id:
                connection.execute(
                    update(experiments)
                    .where(experiments.c.experiment_id == run.experiment_id)
                    .values(last_run_created_at=rows.micros(run.created_at))
                )
        adopted = self.run(run.id) or run
        self.run_changes.tell(adopted)
        return adopted

    def write(self, run: RunRecord, changes: Changes) -> None:
        """Write all changes of one run in one transaction.

        Args:
            run: The run they belong to.
            changes: What changed.

        Raises:
            Unavailable: Nothing was written.
        """
        with self._database.writing() as connection:
            self._write(connection, run, changes)
            if self.journal is not None:
                self.journal(connection, run, changes)
        self.tally.see(changes)
        if changes.run is not None:
            self.run_changes.tell(changes.run)

    def _write(self, connection: Connection, run: RunRecord, changes: Changes) -> None:
        if changes.run is not None:
            connection.execute(self._put_run, rows.run_row(changes.run))
        _many(connection, self._put_task, [rows.task_row(task, run) for task in changes.tasks.values()])
        _many(connection, self._put_attempt, [rows.attempt_row(attempt) for attempt in changes.attempts.values()])
        _many(connection, self._put_artifact, [rows.artifact_row(artifact) for artifact in changes.artifacts])
        _many(connection, self._put_edge, [rows.edge_row(edge) for edge in changes.edges])

    def reopen(self, run: RunRecord, changed: Iterable[Task], removed: Iterable[str] = ()) -> None:
        """Write a run that goes on; without tasks to go on from, it begins anew.

        Args:
            run: The run.
            changed: Its rows that are new or different.
            removed: Ids of rows that go.
        """
        found = list(changed)
        keys = [{"run": run.id, "task": task} for task in removed]
        with self._database.writing() as connection:
            connection.execute(self._put_run, rows.run_row(run))
            if keys:
                connection.execute(_remove_task, keys)
            # What runs again may read and make less than it did.
            waiting = [{"run": run.id, "task": task.id} for task in found if task.state is State.PENDING]
            if unlinked := keys + waiting:
                connection.execute(_unlink_task, unlinked)
            _many(connection, self._put_task, [rows.task_row(task, run) for task in found])
            if not found:
                connection.execute(delete(tasks).where(tasks.c.run_id == run.id))
        self.run_changes.tell(run)

    def end(self, run: RunRecord, failure: Failure) -> None:
        """Write the end of a run that no engine ends, and of everything in it that was not over."""
        live = ("PENDING", "RUNNING")
        over = {"state": "CANCELED", "finished_at": rows.micros(run.finished_at)}
        with self._database.writing() as connection:
            connection.execute(self._put_run, rows.run_row(run))
            of_run = tasks.c.run_id == run.id
            connection.execute(
                update(tasks).where(of_run, tasks.c.state.in_(live)).values(failure=rows.text(failure), waiting=None, **over)
            )
            connection.execute(update(attempts).where(attempts.c.run_id == run.id, attempts.c.state.in_(live)).values(**over))
            if self.journal is not None:
                self.journal(connection, run, Changes(run=run))
        self.run_changes.tell(run)

    def bring(self, run: RunRecord, pipelines: Iterable[Spec], changes: Changes, also: Callable[[Connection], None]) -> None:
        """Write a run that is over and comes from another host, with every pipeline that it ran and what ``also`` writes."""
        with self._database.transaction() as connection:
            for spec in pipelines:
                connection.execute(self._keep_spec, rows.spec_row(spec, run.created_at))
            connection.execute(self._keep_run, rows.run_row(run))
            write_tags(connection, run_tags, run.id, run.tags)
            self._write(connection, run, changes)
            # Its Pods were elsewhere: one here that has the name of one of them is somebody else's, and not to be deleted.
            connection.execute(update(attempts).where(attempts.c.run_id == run.id).values(pod_kept=0))
            also(connection)
        self.run_changes.tell(run)

    def keep_spec(self, spec: Spec, now: datetime) -> None:
        """Store a pipeline's documents, unless they are stored."""
        with self._database.writing() as connection:
            connection.execute(self._keep_spec, rows.spec_row(spec, now))

    def set_storage_state(self, run_id: str, state: str) -> bool:
        """Archive or restore a run; ``False`` when there is no such run."""
        with self._database.transaction() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(storage_state=state))
        found = self.run(run_id)
        if found is not None:
            self.run_changes.tell(found)
        return found is not None

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> RunRecord | None:
        """Write the tags of a run in place of those that it has; ``None`` when there is no such run."""
        with self._database.transaction() as connection:
            values = {"tags": rows.text(dict(tags))}
            if connection.execute(update(runs).where(runs.c.run_id == run_id).values(values)).rowcount:
                write_tags(connection, run_tags, run_id, tags)
        found = self.run(run_id)
        if found is not None:
            self.run_changes.tell(found)
        return found

    def forget_pods(self, ended: Iterable[tuple[str, str, int]]) -> None:
        """Note that the Pods of attempts (run, task, number) were deleted."""
        keys = [{"run": run, "task": task, "number": number} for run, task, number in ended]
        if keys:
            with self._database.writing() as connection:
                connection.execute(_forget_pod, keys)

    def note_used(self, pod_uid: str, cpu: float, memory: int) -> None:
        """Note what the attempt that a Pod is used: seconds of processors, and bytes of memory at its peak."""
        with self._database.writing() as connection:
            connection.execute(_note_used, {"uid": pod_uid, "cpu": cpu, "memory": memory})

    def add_used(self, samples: Iterable[Sample]) -> None:
        """Note what attempts used in a while, besides what they used before."""
        keys = [{"uid": each.pod_uid, "cpu": each.cpu, "memory": each.memory} for each in samples]
        if keys:
            with self._database.writing() as connection:
                connection.execute(_add_used, keys)

    # ---- what is read

    def ended_pods(self, beyond: int, limit: int) -> list[tuple[Attempt, str]]:
        """The attempts that ended first, and their namespaces, whose Pods are kept although more than ``beyond`` are."""
        with self._database.reading() as connection:
            surplus = connection.execute(_kept_pods).scalar_one() - beyond
            if surplus <= 0:
                return []
            found = connection.execute(_oldest_kept, {"limit": min(surplus, limit)}).mappings().all()
        return [(rows.read_attempt(row), row["namespace"]) for row in found]

    def run(self, run_id: str) -> RunRecord | None:
        """One run."""
        found = self._first(_one_run, run=run_id)
        return rows.read_run(found) if found else None

    def tags_of(self, run_ids: Collection[str]) -> dict[str, dict[str, str]]:
        """The tags of runs by their ids; of those that there are."""
        with self._database.reading() as connection:
            found = connection.execute(select(runs.c.run_id, runs.c.tags).where(runs.c.run_id.in_(run_ids)))
            return {row[0]: rows.read_tags(row[1]) for row in found}

    def live_runs(self) -> list[str]:
        """Ids of the runs that are not over."""
        return [row["run_id"] for row in self._all(_live_runs)]

    def run_counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        return {
            state: found["number"] for state in RUN_STATES if (found := self._first(_runs_in, state=state)) and found["number"]
        }

    def spec(self, digest: str) -> Spec | None:
        """A pipeline's documents."""
        found = self._first(_one_spec, digest=digest)
        return rows.read_spec(found) if found else None

    def tasks(self, run_id: str) -> list[Task]:
        """Every task of a run, in the order of their ids."""
        return [rows.read_task(row) for row in self._all(_tasks_of, run=run_id)]

    def task(self, run_id: str, task_id: str) -> Task | None:
        """One task."""
        found = self._first(_one_task, run=run_id, task=task_id)
        return rows.read_task(found) if found else None

    def attempts(self, run_id: str, task_id: str | None = None) -> list[Attempt]:
        """The attempts of a run, or of one of its tasks in order."""
        if task_id is None:
            return [rows.read_attempt(row) for row in self._all(_attempts_of, run=run_id)]
        return [rows.read_attempt(row) for row in self._all(_attempts_of_task, run=run_id, task=task_id)]

    def attempt_of_pod(self, pod_uid: str) -> Attempt | None:
        """The attempt that a Pod is."""
        found = self._first(_attempt_of_pod, uid=pod_uid)
        return rows.read_attempt(found) if found else None

    def cached(self, key: str, namespace: str, pipeline: str, *, since: datetime | None = None) -> tuple[Values, str] | None:
        """The newest outputs kept under a cache key, made after ``since``, and ``<run>/<task>`` of who made them."""
        found = self._first(_cached, key=key, namespace=namespace, pipeline=pipeline, since=rows.micros(since) or 0)
        if found is None:
            return None
        return rows.read_values(found["outputs"]) or Values(), f"{found['run_id']}/{found['task_id']}"

    def artifact(self, artifact_id: str) -> ArtifactRecord | None:
        """One artifact."""
        found = self._first(_one_artifact, artifact=artifact_id)
        return rows.read_artifact(found) if found else None

    def artifacts_at(self, uri: str) -> list[ArtifactRecord]:
        """The records of what lies at an address, newest first; at most 50."""
        return [rows.read_artifact(row) for row in self._all(_artifact_at, uri=uri)]

    def edges(self, run_id: str) -> list[Edge]:
        """Which task of a run read or made which artifact."""
        return [_read_edge(row) for row in self._all(_edges_of, run=run_id)]

    def list_runs(self, query: pages.Query, *, namespace: str = "", experiment_id: str = "") -> pages.Page[RunRecord]:
        """One page of runs; raises `errors.BadRequest` for a query that cannot be answered."""
        where = [runs.c.namespace == namespace] if namespace else []
        if experiment_id:
            where.append(runs.c.experiment_id == experiment_id)
        with self._database.reading() as connection:
            return pages.page(connection, RUN_LIST, query, *where)

    def list_artifacts(self, query: pages.Query, *, namespace: str = "", run_id: str = "") -> pages.Page[ArtifactRecord]:
        """One page of artifacts; raises `errors.BadRequest` for a query that cannot be answered."""
        where = [artifacts.c.namespace == namespace] if namespace else []
        if run_id:  # what its steps made, and what they took from the cache instead
            of_run = (task_artifacts.c.run_id == run_id, task_artifacts.c.direction == "output")
            where.append(artifacts.c.artifact_id.in_(select(task_artifacts.c.artifact_id).where(*of_run)))
        with self._database.reading() as connection:
            return pages.page(connection, ARTIFACT_LIST, query, *where)

    def list_tasks(self, query: pages.Query, run_id: str, *, parent: str | None = None) -> pages.Page[Task]:
        """One page of a run's tasks; raises `errors.BadRequest` for a query that cannot be answered.

        Args:
            query: What the client asked for.
            run_id: The run.
            parent: Only those right below this one.
        """
        where = [tasks.c.run_id == run_id, *([] if parent is None else [tasks.c.parent == parent])]
        with self._database.reading() as connection:
            return pages.page(connection, TASK_LIST, query, *where)

    def children(self, run_id: str, parents: Collection[str]) -> list[Task]:
        """The tasks right below these of a run, in the order in which they were made."""
        if not parents:
            return []
        statement = select(tasks).where(tasks.c.run_id == run_id, tasks.c.parent.in_(parents))
        with self._database.reading() as connection:
            found = connection.execute(statement.order_by(tasks.c.created_at, tasks.c.task_id)).mappings()
            return [rows.read_task(row) for row in found]

    def makers(self, artifact_ids: Collection[str]) -> dict[str, str]:
        """Ids of the tasks that made these artifacts, where that is known; of whichever run."""
        if not artifact_ids:
            return {}
        statement = select(artifacts.c.artifact_id, artifacts.c.task_id).where(artifacts.c.artifact_id.in_(artifact_ids))
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement) if row[1] is not None}

    def list_edges(
        self,
        query: pages.Query,
        *,
        artifact_ids: Sequence[str] = (),
        run_ids: Sequence[str] = (),
        task_ids: Sequence[str] = (),
        direction: Literal["input", "output"] | None = None,
        namespaces: Sequence[str] = (),
    ) -> pages.Page[Edge]:
        """One page of who read or made what, of these artifacts, runs, tasks and namespaces; of all where none is named.

        Raises:
            BadRequest: The query cannot be answered.
        """
        wanted = (
            (task_artifacts.c.artifact_id, artifact_ids),
            (task_artifacts.c.run_id, run_ids),
            (task_artifacts.c.task_id, task_ids),
        )
        where: list[ColumnElement[bool]] = [column.in_(values) for column, values in wanted if values]
        if namespaces:
            where.append(task_artifacts.c.run_id.in_(select(runs.c.run_id).where(runs.c.namespace.in_(namespaces))))
        if direction is not None:
            where.append(task_artifacts.c.direction.in_((direction,)))
        told = pages.told(query)
        name, descending = pages.order(told[0] or "id", _EDGES_BY)
        where += filters.conditions(told[1], _EDGE_FILTERS)
        listing = pages.Keyed(task_artifacts, _EDGES_BY[name], _read_edge, descending, told)
        with self._database.reading() as connection:
            return pages.keyed(connection, listing, (query.page_size, query.page_token), *where)

    def count_tasks(self, run_id: str) -> int:
        """How many tasks a run has."""
        found = self._first(_task_count, run=run_id)
        return found["number"] if found is not None else 0

    def counts(self, run_id: str) -> dict[str, int]:
        """How many tasks of a run are in each state."""
        statement = select(tasks.c.state, func.count()).where(tasks.c.run_id == run_id).group_by(tasks.c.state)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def _first(self, statement: Any, **values: Any) -> rows.Row | None:
        with self._database.reading() as connection:
            return connection.execute(statement, values).mappings().first()

    def _all(self, statement: Any, **values: Any) -> Sequence[rows.Row]:
        with self._database.reading() as connection:
            return connection.execute(statement, values).mappings().all()


def _read_edge(row: rows.Row) -> Edge:
    return Edge(row["run_id"], row["task_id"], row["direction"], row["key"], row["position"], row["artifact_id"])


def _many(connection: Connection, statement: Any, values: Iterable[dict[str, Any]]) -> None:
    found = list(values)
    if found:  # an empty list would write one row of defaults
        connection.execute(statement, found if len(found) > 1 else found[0])
