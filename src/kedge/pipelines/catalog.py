"""Stored pipelines, their versions, and experiments: every statement about them."""

from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from kedge.db.database import Database
from kedge.db.tables import (
    experiments,
    pipeline_tags,
    pipeline_version_tags,
    pipeline_versions,
    pipelines,
    recurring_runs,
    runs,
    specs,
)
from kedge.errors import AlreadyExists, Conflict, NotFound
from kedge.kube.clock import Clock, Ids
from kedge.pipelines import pages, rows
from kedge.pipelines.history import upsert, write_tags
from kedge.pipelines.records import ExperimentRecord, PipelineRecord, Spec, VersionRecord

DEFAULT_EXPERIMENT = "Default"

_PIPELINES = pages.Listing(
    pipelines,
    pipelines.c.pipeline_id,
    rows.read_pipeline,
    {
        "pipeline_id": pipelines.c.pipeline_id,
        "id": pipelines.c.pipeline_id,
        "name": pipelines.c.name,
        "display_name": pipelines.c.display_name,
        "description": pipelines.c.description,
        "namespace": pipelines.c.namespace,
        "created_at": pipelines.c.created_at,
    },
    frozenset({"pipeline_id", "id", "name", "display_name", "created_at"}),
    pipeline_tags,
)
_VERSIONS = pages.Listing(
    pipeline_versions,
    pipeline_versions.c.pipeline_version_id,
    rows.read_version,
    {
        "pipeline_version_id": pipeline_versions.c.pipeline_version_id,
        "id": pipeline_versions.c.pipeline_version_id,
        "name": pipeline_versions.c.name,
        "display_name": pipeline_versions.c.display_name,
        "description": pipeline_versions.c.description,
        "created_at": pipeline_versions.c.created_at,
    },
    frozenset({"pipeline_version_id", "id", "name", "display_name", "created_at"}),  # of one pipeline, never of all
    pipeline_version_tags,
)
_EXPERIMENTS = pages.Listing(
    experiments,
    experiments.c.experiment_id,
    rows.read_experiment,
    {
        "experiment_id": experiments.c.experiment_id,
        "id": experiments.c.experiment_id,
        "name": experiments.c.display_name,
        "display_name": experiments.c.display_name,
        "description": experiments.c.description,
        "namespace": experiments.c.namespace,
        "storage_state": experiments.c.storage_state,
        "created_at": experiments.c.created_at,
        "last_run_created_at": experiments.c.last_run_created_at,
    },
    frozenset({"experiment_id", "id", "name", "display_name", "created_at", "last_run_created_at"}),
)

_one_pipeline = select(pipelines).where(pipelines.c.pipeline_id == bindparam("id"))
_pipeline_named = select(pipelines).where(pipelines.c.namespace == bindparam("namespace"), pipelines.c.name == bindparam("name"))
_one_version = select(pipeline_versions).where(pipeline_versions.c.pipeline_version_id == bindparam("id"))
_newest_version = (
    select(pipeline_versions)
    .where(pipeline_versions.c.pipeline_id == bindparam("id"))
    .order_by(pipeline_versions.c.created_at.desc(), pipeline_versions.c.pipeline_version_id.desc())
    .limit(1)
)
_version_of_spec = (
    select(pipeline_versions)
    .join(pipelines, pipelines.c.pipeline_id == pipeline_versions.c.pipeline_id)
    .where(pipeline_versions.c.spec_digest == bindparam("digest"), pipelines.c.namespace == bindparam("namespace"))
    .order_by(pipeline_versions.c.created_at.desc())
    .limit(1)
)
_one_experiment = select(experiments).where(experiments.c.experiment_id == bindparam("id"))
_experiment_named = select(experiments).where(
    experiments.c.namespace == bindparam("namespace"), experiments.c.display_name == bindparam("name")
)

_namespaces = select(experiments.c.namespace).distinct().order_by(experiments.c.namespace).limit(1000)


class Catalog:
    """Pipelines by name and version, and experiments."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._keep_spec = upsert(specs, database.dialect, keep=True)

    # ---- pipelines

    def add_pipeline(self, pipeline: PipelineRecord, version: VersionRecord | None = None, spec: Spec | None = None) -> None:
        """Store a pipeline, with its first version if it has one.

        Raises:
            AlreadyExists: The namespace has a pipeline of that name.
        """
        try:
            with self._database.transaction() as connection:
                connection.execute(insert(pipelines).values(rows.pipeline_row(pipeline)))
                write_tags(connection, pipeline_tags, pipeline.id, pipeline.tags)
                if version is not None and spec is not None:
                    self._insert_version(connection, version, spec)
        except IntegrityError as error:
            raise AlreadyExists(
                f"pipeline {pipeline.name!r} already exists in namespace {pipeline.namespace!r}. Upload a version of it, or "
                f"choose another name."
            ) from error

    def add_version(self, version: VersionRecord, spec: Spec) -> None:
        """Store another version of a pipeline.

        Raises:
            NotFound: There is no such pipeline.
            AlreadyExists: It has a version of that name.
        """
        self.pipeline(version.pipeline_id)
        try:
            with self._database.transaction() as connection:
                self._insert_version(connection, version, spec)
        except IntegrityError as error:
            raise AlreadyExists(
                f"pipeline {version.pipeline_id!r} already has a version {version.name!r}. Choose another name."
            ) from error

    def _insert_version(self, connection: Connection, version: VersionRecord, spec: Spec) -> None:
        connection.execute(self._keep_spec, rows.spec_row(spec, version.created_at))
        connection.execute(insert(pipeline_versions).values(rows.version_row(version)))
        write_tags(connection, pipeline_version_tags, version.id, version.tags)

    def update_pipeline(self, pipeline_id: str, **changes: Any) -> PipelineRecord:
        """Change a pipeline's texts and tags.

        Raises:
            NotFound: There is none.
            AlreadyExists: The namespace has a pipeline of its new name.
        """
        changed = msgspec.structs.replace(self.pipeline(pipeline_id), **changes)
        try:
            with self._database.transaction() as connection:
                where = pipelines.c.pipeline_id == pipeline_id
                connection.execute(update(pipelines).where(where).values(rows.pipeline_row(changed)))
                write_tags(connection, pipeline_tags, pipeline_id, changed.tags)
        except IntegrityError as error:
            raise AlreadyExists(f"pipeline {changed.name!r} already exists in namespace {changed.namespace!r}.") from error
        return changed

    def update_version(self, pipeline_id: str, version_id: str, **changes: Any) -> VersionRecord:
        """Change a version's texts and tags.

        Raises:
            NotFound: There is none.
            AlreadyExists: The pipeline has a version of its new name.
        """
        changed = msgspec.structs.replace(self.version(pipeline_id, version_id), **changes)
        try:
            with self._database.transaction() as connection:
                where = pipeline_versions.c.pipeline_version_id == version_id
                connection.execute(update(pipeline_versions).where(where).values(rows.version_row(changed)))
                write_tags(connection, pipeline_version_tags, version_id, changed.tags)
        except IntegrityError as error:
            raise AlreadyExists(f"pipeline {pipeline_id!r} already has a version {changed.name!r}.") from error
        return changed

    def pipeline(self, pipeline_id: str) -> PipelineRecord:
        """One pipeline; raises `errors.NotFound`."""
        with self._database.reading() as connection:
            found = connection.execute(_one_pipeline, {"id": pipeline_id}).mappings().first()
        if found is None:
            raise no_pipeline(pipeline_id)
        return rows.read_pipeline(found)

    def pipeline_named(self, name: str, namespace: str) -> PipelineRecord | None:
        """The pipeline of that name, if there is one."""
        with self._database.reading() as connection:
            found = connection.execute(_pipeline_named, {"name": name, "namespace": namespace}).mappings().first()
        return rows.read_pipeline(found) if found else None

    def version(self, pipeline_id: str, version_id: str = "") -> VersionRecord:
        """One version, the newest when none is named; raises `errors.NotFound`."""
        with self._database.reading() as connection:
            statement, key = (_one_version, version_id) if version_id else (_newest_version, pipeline_id)
            found = connection.execute(statement, {"id": key}).mappings().first()
        if found is None or (pipeline_id and found["pipeline_id"] != pipeline_id):
            raise no_version(pipeline_id, version_id)
        return rows.read_version(found)

    def known_version(self, version_id: str) -> VersionRecord | None:
        """A version by its id alone; ``None`` if it is gone."""
        with self._database.reading() as connection:
            found = connection.execute(_one_version, {"id": version_id}).mappings().first()
        return rows.read_version(found) if found is not None else None

    def version_of(self, digest: str, namespace: str) -> VersionRecord | None:
        """The newest version in a namespace that has this content, if any has."""
        with self._database.reading() as connection:
            found = connection.execute(_version_of_spec, {"digest": digest, "namespace": namespace}).mappings().first()
        return rows.read_version(found) if found is not None else None

    def delete_pipeline(self, pipeline_id: str, *, cascade: bool = False) -> None:
        """Forget a pipeline; its runs stay.

        Raises:
            NotFound: There is no such pipeline.
            Conflict: It has versions and ``cascade`` is not set.
        """
        self.pipeline(pipeline_id)
        with self._database.transaction() as connection:
            if not cascade and connection.execute(_newest_version, {"id": pipeline_id}).first() is not None:
                raise Conflict(f"pipeline {pipeline_id!r} still has versions. Delete them first, or ask for cascade=true.")
            connection.execute(delete(pipelines).where(pipelines.c.pipeline_id == pipeline_id))

    def delete_version(self, pipeline_id: str, version_id: str) -> None:
        """Forget a version; raises `errors.NotFound`."""
        self.version(pipeline_id, version_id)
        with self._database.transaction() as connection:
            connection.execute(delete(pipeline_versions).where(pipeline_versions.c.pipeline_version_id == version_id))

    def list_pipelines(self, query: pages.Query, *, namespace: str | None = None) -> pages.Page[PipelineRecord]:
        """One page of pipelines, of all namespaces or of one; ``""`` has those that all share."""
        where = [pipelines.c.namespace == namespace] if namespace is not None else []
        with self._database.reading() as connection:
            return pages.page(connection, _PIPELINES, query, *where)

    def list_versions(self, pipeline_id: str, query: pages.Query) -> pages.Page[VersionRecord]:
        """One page of a pipeline's versions; raises `errors.NotFound`."""
        self.pipeline(pipeline_id)
        with self._database.reading() as connection:
            return pages.page(connection, _VERSIONS, query, pipeline_versions.c.pipeline_id == pipeline_id)

    # ---- experiments

    def add_experiment(self, namespace: str, display_name: str, description: str = "") -> ExperimentRecord:
        """Make an experiment; raises `errors.AlreadyExists`."""
        made = ExperimentRecord(
            id=self._ids.uid(),
            namespace=namespace,
            display_name=display_name,
            description=description,
            created_at=self._clock.now(),
        )
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    insert(experiments).values(
                        experiment_id=made.id,
                        namespace=namespace,
                        display_name=display_name,
                        description=description,
                        created_at=rows.micros(made.created_at),
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists(f"experiment {display_name!r} already exists in namespace {namespace!r}.") from error
        return made

    def default_experiment(self, namespace: str) -> ExperimentRecord:
        """The experiment of runs that name none; made when it is first asked for."""
        return self.experiment_named(DEFAULT_EXPERIMENT, namespace) or self.add_experiment(
            namespace, DEFAULT_EXPERIMENT, "All runs started without a specified experiment are placed in it."
        )

    def experiment_named(self, display_name: str, namespace: str) -> ExperimentRecord | None:
        """The experiment of that name, if there is one."""
        with self._database.reading() as connection:
            values = {"name": display_name, "namespace": namespace}
            found = connection.execute(_experiment_named, values).mappings().first()
        return rows.read_experiment(found) if found else None

    def experiment(self, experiment_id: str) -> ExperimentRecord:
        """One experiment; raises `errors.NotFound`."""
        with self._database.reading() as connection:
            found = connection.execute(_one_experiment, {"id": experiment_id}).mappings().first()
        if found is None:
            raise no_experiment(experiment_id)
        return rows.read_experiment(found)

    def archive_experiment(self, experiment_id: str) -> None:
        """Archive an experiment with its runs, and stop its recurring runs; raises `errors.NotFound`."""
        self.experiment(experiment_id)
        now = rows.micros(self._clock.now())
        with self._database.transaction() as connection:
            connection.execute(_of(experiments, experiment_id).values(storage_state="ARCHIVED"))
            connection.execute(_of(runs, experiment_id).values(storage_state="ARCHIVED"))
            connection.execute(_of(recurring_runs, experiment_id).values(enabled=0, updated_at=now))

    def unarchive_experiment(self, experiment_id: str) -> None:
        """Restore an experiment alone, as upstream does: its runs stay archived. Raises `errors.NotFound`."""
        self.experiment(experiment_id)
        with self._database.transaction() as connection:
            connection.execute(_of(experiments, experiment_id).values(storage_state="AVAILABLE"))

    def delete_experiment(self, experiment_id: str) -> None:
        """Forget an experiment; its runs stay and belong to none. Raises `errors.NotFound`."""
        self.experiment(experiment_id)
        with self._database.transaction() as connection:
            connection.execute(_of(runs, experiment_id).values(experiment_id=None))
            connection.execute(_of(recurring_runs, experiment_id).values(experiment_id=None))
            connection.execute(delete(experiments).where(experiments.c.experiment_id == experiment_id))

    def namespaces(self) -> list[str]:
        """Those in which there has been a run or an experiment; the first thousand."""
        with self._database.reading() as connection:
            return list(connection.execute(_namespaces).scalars())

    def list_experiments(self, query: pages.Query, *, namespace: str = "") -> pages.Page[ExperimentRecord]:
        """One page of experiments."""
        where = [experiments.c.namespace == namespace] if namespace else []
        with self._database.reading() as connection:
            return pages.page(connection, _EXPERIMENTS, query, *where)


def no_pipeline(pipeline_id: str) -> NotFound:
    """There is no such pipeline."""
    return NotFound(f"pipeline {pipeline_id!r} not found. `kedge pipelines list` shows those that exist.")


def no_version(pipeline_id: str, version_id: str) -> NotFound:
    """There is no such version, or none at all."""
    what = f"version {version_id!r} of pipeline" if version_id else "a version of pipeline"
    return NotFound(f"{what} {pipeline_id!r} not found. `kedge pipelines list` shows those that exist.")


def no_experiment(experiment_id: str) -> NotFound:
    """There is no such experiment."""
    return NotFound(f"experiment {experiment_id!r} not found. GET /apis/v2beta1/experiments lists those that exist.")


def _of(table: Table, experiment_id: str) -> Any:
    """An update of all rows of an experiment."""
    return update(table).where(table.c.experiment_id == experiment_id)
