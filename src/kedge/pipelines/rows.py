"""Rows of the history's tables to records and back: times are microseconds, inner structure is JSON."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kedge.pipelines.engine.types import Artifact, Failure, Kind, State, Task, Values, Waiting
from kedge.pipelines.records import (
    ArtifactRecord,
    Attempt,
    Edge,
    ExperimentRecord,
    PipelineRecord,
    PodEvent,
    RunRecord,
    Spec,
    VersionRecord,
)

Row = Mapping[Any, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_json = msgspec.json.Encoder()
_values = msgspec.json.Decoder(Values)
_failure = msgspec.json.Decoder(Failure)
_history = msgspec.json.Decoder(tuple[tuple[str, int], ...])
_mapping = msgspec.json.Decoder(dict[str, Any])
_tags = msgspec.json.Decoder(dict[str, str])


def micros(moment: datetime | None) -> int | None:
    """A time as the tables keep it; exact, where a float of seconds is not.

    Examples:
        >>> micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005
    """
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment(value: int | None) -> Any:
    """The time back; ``None`` stays ``None``."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def text(value: Any) -> str | None:
    """JSON text; ``None`` stays ``None``."""
    return None if value is None else _json.encode(value).decode()


def task_row(task: Task, run: RunRecord) -> dict[str, Any]:
    """A task as a row."""
    return {
        "run_id": run.id,
        "task_id": task.id,
        "name": task.name,
        "parent": task.parent,
        "kind": task.kind.value,
        "component": task.component,
        "executor": task.executor,
        "state": task.state.value,
        "waiting": task.waiting.value if task.waiting else None,
        "iteration": task.iteration,
        "iterations": task.iterations,
        "attempt": task.attempt,
        "infra_failures": task.infra_failures,
        "inputs": text(task.inputs),
        "outputs": text(task.outputs),
        "failure": text(task.failure),
        "retry_at": micros(task.retry_at),
        "cache_key": task.cache_key,
        "cached_from": task.cached_from,
        "namespace": run.namespace,
        "pipeline_name": run.pipeline_name,
        "created_at": micros(task.created_at),
        "started_at": micros(task.started_at),
        "finished_at": micros(task.finished_at),
    }


def read_task(row: Row) -> Task:
    """A row as a task."""
    return Task(
        id=row["task_id"],
        name=row["name"],
        parent=row["parent"],
        kind=Kind(row["kind"]),
        component=row["component"],
        executor=row["executor"],
        state=State(row["state"]),
        waiting=Waiting(row["waiting"]) if row["waiting"] else None,
        iteration=row["iteration"],
        iterations=row["iterations"],
        attempt=row["attempt"],
        infra_failures=row["infra_failures"],
        inputs=read_values(row["inputs"]),
        outputs=read_values(row["outputs"]),
        failure=_failure.decode(row["failure"]) if row["failure"] else None,
        retry_at=moment(row["retry_at"]),
        cache_key=row["cache_key"],
        cached_from=row["cached_from"],
        created_at=moment(row["created_at"]),
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
    )


def read_values(text: str | None) -> Values | None:
    """Inputs or outputs."""
    return _values.decode(text) if text else None


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """An attempt as a row."""
    failure = attempt.failure
    return {
        "run_id": attempt.run,
        "task_id": attempt.task,
        "attempt": attempt.number,
        "pod_name": attempt.pod_name,
        "pod_uid": attempt.pod_uid,
        "state": attempt.state.value,
        "reason": failure.reason if failure else None,
        "message": failure.message if failure else None,
        "exit_code": failure.exit_code if failure else (0 if attempt.state is State.SUCCEEDED else None),
        "infra": int(failure is not None and failure.kind == "infra"),
        "staged": text(attempt.staged),
        "spec_digest": attempt.spec_digest or None,
        "cpu_seconds": attempt.cpu_seconds,
        "peak_memory": attempt.peak_memory,
        "created_at": micros(attempt.created_at),
        "started_at": micros(attempt.started_at),
        "finished_at": micros(attempt.finished_at),
    }


def read_attempt(row: Row) -> Attempt:
    """A row as an attempt."""
    failure = None
    if row["reason"] is not None:
        kind = "infra" if row["infra"] else "canceled" if row["state"] == "CANCELED" else "user"
        failure = Failure(kind, row["reason"], row["message"] or "", row["exit_code"])
    return Attempt(
        run=row["run_id"],
        task=row["task_id"],
        number=row["attempt"],
        pod_name=row["pod_name"],
        pod_uid=row["pod_uid"],
        state=State(row["state"]),
        failure=failure,
        staged=read_values(row["staged"]),
        spec_digest=row["spec_digest"] or "",
        cpu_seconds=row["cpu_seconds"],
        peak_memory=row["peak_memory"],
        created_at=moment(row["created_at"]),
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
    )


def pod_event_row(event: PodEvent) -> dict[str, Any]:
    """What was said of a Pod as a row."""
    return {
        "run_id": event.run,
        "task_id": event.task,
        "attempt": event.attempt,
        "event_id": event.id,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "source": event.source,
        "count": event.count,
        "first_at": micros(event.first_at),
        "last_at": micros(event.last_at),
        "position": event.position,
    }


def read_pod_event(row: Row) -> PodEvent:
    """A row as what was said of a Pod."""
    return PodEvent(
        id=row["event_id"],
        run=row["run_id"],
        task=row["task_id"],
        attempt=row["attempt"],
        type=row["type"],
        reason=row["reason"],
        message=row["message"],
        source=row["source"],
        count=row["count"],
        first_at=moment(row["first_at"]),
        last_at=moment(row["last_at"]),
        position=row["position"],
    )


def run_row(run: RunRecord) -> dict[str, Any]:
    """A run as a row."""
    return {
        "run_id": run.id,
        "namespace": run.namespace,
        "name": run.name,
        "display_name": run.display_name,
        "description": run.description,
        "experiment_id": run.experiment_id,
        "pipeline_id": run.pipeline_id,
        "pipeline_version_id": run.pipeline_version_id,
        "recurring_run_id": run.recurring_run_id,
        "pipeline_name": run.pipeline_name,
        "spec_digest": run.spec_digest,
        "parameters": text(run.parameters),
        "pipeline_root": run.pipeline_root,
        "service_account": run.service_account,
        "cache": int(run.cache),
        "state": run.state,
        "state_history": text([(state, micros(at)) for state, at in run.state_history]),
        "storage_state": run.storage_state,
        "cancel_reason": run.cancel_reason,
        "failure": text(run.failure),
        "outputs": text(run.outputs),
        "created_at": micros(run.created_at),
        "scheduled_at": micros(run.scheduled_at),
        "tags": text(run.tags),
        "started_at": micros(run.started_at),
        "finished_at": micros(run.finished_at),
    }


def read_run(row: Row) -> RunRecord:
    """A row as a run."""
    return RunRecord(
        id=row["run_id"],
        namespace=row["namespace"],
        name=row["name"],
        display_name=row["display_name"],
        description=row["description"],
        experiment_id=row["experiment_id"],
        pipeline_id=row["pipeline_id"],
        pipeline_version_id=row["pipeline_version_id"],
        recurring_run_id=row["recurring_run_id"],
        pipeline_name=row["pipeline_name"],
        spec_digest=row["spec_digest"],
        parameters=_mapping.decode(row["parameters"]),
        pipeline_root=row["pipeline_root"],
        service_account=row["service_account"],
        cache=bool(row["cache"]),
        state=row["state"],
        state_history=tuple((state, moment(at)) for state, at in _history.decode(row["state_history"])),
        storage_state=row["storage_state"],
        cancel_reason=row["cancel_reason"],
        failure=_failure.decode(row["failure"]) if row["failure"] else None,
        outputs=read_values(row["outputs"]),
        created_at=moment(row["created_at"]),
        scheduled_at=moment(row["scheduled_at"]),
        tags=read_tags(row["tags"]),
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
    )


def read_tags(text: str) -> dict[str, str]:
    """Tags."""
    return _tags.decode(text)


def artifact_row(record: ArtifactRecord) -> dict[str, Any]:
    """An artifact as a row."""
    found = record.artifact
    return {
        "artifact_id": record.id,
        "namespace": record.namespace,
        "name": found.name,
        "type": found.type,
        "uri": found.uri,
        "digest": found.digest or None,
        "size": found.size,
        "metadata": text(found.metadata),
        "run_id": record.run,
        "task_id": record.task,
        "created_at": micros(record.created_at),
    }


def read_artifact(row: Row) -> ArtifactRecord:
    """A row as an artifact."""
    return ArtifactRecord(
        id=row["artifact_id"],
        namespace=row["namespace"],
        artifact=Artifact(
            name=row["name"],
            uri=row["uri"],
            type=row["type"],
            metadata=_mapping.decode(row["metadata"]),
            digest=row["digest"] or "",
            size=row["size"],
            id=row["artifact_id"],
        ),
        run=row["run_id"],
        task=row["task_id"],
        created_at=moment(row["created_at"]),
    )


def edge_row(edge: Edge) -> dict[str, Any]:
    """An edge as a row."""
    return {
        "run_id": edge.run,
        "task_id": edge.task,
        "direction": edge.direction,
        "key": edge.key,
        "position": edge.position,
        "artifact_id": edge.artifact,
    }


def spec_row(spec: Spec, now: datetime) -> dict[str, Any]:
    """A pipeline's documents as a row; level 1 packs a thousand tasks in some 10 ms, to a twentieth."""
    platform = zlib.compress(_json.encode(spec.platforms), 1) if spec.platforms else None
    pipeline = zlib.compress(_json.encode(spec.pipeline), 1)
    return {"digest": spec.digest, "pipeline": pipeline, "platform": platform, "created_at": micros(now)}


def read_spec(row: Row) -> Spec:
    """A row as a pipeline's documents."""
    platforms = _mapping.decode(zlib.decompress(row["platform"])) if row["platform"] else {}
    return Spec(row["digest"], _mapping.decode(zlib.decompress(row["pipeline"])), platforms)


def read_pipeline(row: Row) -> PipelineRecord:
    """A row as a stored pipeline."""
    return PipelineRecord(
        id=row["pipeline_id"],
        namespace=row["namespace"],
        name=row["name"],
        display_name=row["display_name"],
        description=row["description"],
        tags=read_tags(row["tags"]),
        created_at=moment(row["created_at"]),
    )


def pipeline_row(record: PipelineRecord) -> dict[str, Any]:
    """A stored pipeline as a row."""
    return {
        "pipeline_id": record.id,
        "namespace": record.namespace,
        "name": record.name,
        "display_name": record.display_name,
        "description": record.description,
        "tags": text(record.tags),
        "created_at": micros(record.created_at),
    }


def version_row(record: VersionRecord) -> dict[str, Any]:
    """A version as a row."""
    return {
        "pipeline_version_id": record.id,
        "pipeline_id": record.pipeline_id,
        "name": record.name,
        "display_name": record.display_name,
        "description": record.description,
        "spec_digest": record.spec_digest,
        "tags": text(record.tags),
        "code_source_url": record.code_source_url,
        "package_url": record.package_url,
        "created_at": micros(record.created_at),
    }


def read_version(row: Row) -> VersionRecord:
    """A row as a version."""
    return VersionRecord(
        id=row["pipeline_version_id"],
        pipeline_id=row["pipeline_id"],
        name=row["name"],
        display_name=row["display_name"],
        description=row["description"],
        spec_digest=row["spec_digest"],
        tags=read_tags(row["tags"]),
        code_source_url=row["code_source_url"],
        package_url=row["package_url"],
        created_at=moment(row["created_at"]),
    )


def read_experiment(row: Row) -> ExperimentRecord:
    """A row as an experiment."""
    return ExperimentRecord(
        id=row["experiment_id"],
        namespace=row["namespace"],
        display_name=row["display_name"],
        description=row["description"],
        storage_state=row["storage_state"],
        created_at=moment(row["created_at"]),
        last_run_created_at=moment(row["last_run_created_at"]),
    )
