"""Records as the REST API shows them: KFP v2beta1's names where it has them, snake_case, RFC 3339, empty fields left out."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from kedge.kube.clock import micro_timestamp
from kedge.pipelines import wires
from kedge.pipelines.cache_entries import Entry
from kedge.pipelines.engine.graph import title
from kedge.pipelines.engine.types import Artifact, Failure, Kind, State, Task, Values
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
from kedge.pipelines.recurring import RecurringRun
from kedge.pipelines.spec import Pipeline

Json = dict[str, Any]

# google.rpc.Code, which KFP's errors carry.
_CODES = {"user": 3, "infra": 14, "upstream": 9, "canceled": 1}
_TYPES = {Kind.LOOP: "LOOP", Kind.STEP: "RUNTIME", Kind.IMPORTER: "IMPORTER"}
# The compiler's names for groups of tasks, by which KFP too tells them apart.
_GROUPS = {"condition-branches-": "CONDITION_BRANCH", "condition-": "CONDITION", "exit-handler-": "EXIT_HANDLER"}
DIRECTIONS: dict[str, Literal["input", "output"]] = {"OUTPUT": "output", "TASK_OUTPUT_INPUT": "input"}
"""What a task has to do with an artifact, in KFP's words."""
_ARTIFACT_TYPES = {
    "system.Model": "Model",
    "system.Dataset": "Dataset",
    "system.HTML": "HTML",
    "system.Markdown": "Markdown",
    "system.Metrics": "Metric",
    "system.ClassificationMetrics": "ClassificationMetric",
    "system.SlicedClassificationMetrics": "SlicedClassificationMetric",
}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else micro_timestamp(moment)


def _kept(body: Json) -> Json:
    """Without what is empty, as protobuf's JSON leaves it out."""
    return {key: value for key, value in body.items() if value not in (None, "", [], {})}


def run(record: RunRecord, spec: Spec | None = None) -> Json:
    """A run.

    Args:
        record: The run.
        spec: Its documents, to be shown with it.
    """
    body = {
        "run_id": record.id,
        "display_name": record.display_name,
        "description": record.description,
        "experiment_id": record.experiment_id,
        "recurring_run_id": record.recurring_run_id,
        "namespace": record.namespace,
        "name": record.name,
        "pipeline_name": record.pipeline_name,
        "storage_state": record.storage_state,
        "tags": record.tags,
        "service_account": record.service_account,
        "runtime_config": _kept({"parameters": record.parameters, "pipeline_root": record.pipeline_root}),
        "created_at": _time(record.created_at),
        "scheduled_at": _time(record.scheduled_at or record.created_at),
        "started_at": _time(record.started_at),
        "finished_at": _time(record.finished_at),
        "state": record.state,
        "state_history": [{"update_time": _time(at), "state": state} for state, at in record.state_history],
        "error": error(record.failure),
        "outputs": values(record.outputs),
    }
    if record.pipeline_version_id:
        body["pipeline_version_reference"] = {
            "pipeline_id": record.pipeline_id,
            "pipeline_version_id": record.pipeline_version_id,
        }
    elif spec is not None:
        body["pipeline_spec"] = documents(spec)
    return _kept(body)


def documents(spec: Spec) -> Json:
    """A pipeline's documents as KFP nests them."""
    if spec.platforms:
        return {"pipeline_spec": spec.pipeline, "platform_spec": {"platforms": spec.platforms}}
    return spec.pipeline


def error(failure: Failure | None) -> Json | None:
    """Why something failed, as ``google.rpc.Status`` with our own details."""
    if failure is None:
        return None
    details = _kept({"kind": failure.kind, "reason": failure.reason, "exit_code": failure.exit_code, "task": failure.task})
    return {"code": _CODES[failure.kind], "message": failure.message, "details": [details]}


def values(found: Values | None) -> Json:
    """Parameters and artifacts by name."""
    if found is None:
        return {}
    artifacts = {name: [artifact(item) for item in listed] for name, listed in found.artifacts.items()}
    return _kept({"parameters": found.parameters, "artifacts": artifacts})


def _listed(found: Values | None, parameter: str, artifacts: str, sources: Mapping[str, Json] = {}) -> Json:
    """What went into a task or came out of it, as KFP 3.0 lists it.

    Args:
        found: The values.
        parameter: The ``IOType`` of its parameters; ``""`` where it is not known.
        artifacts: That of its artifacts, whose links are told apart by nothing else.
        sources: What the pipeline says of where they come from, by name.
    """
    if found is None:
        return {}
    parameters = [
        {"parameter_key": name, "value": value, **_kept({"type": parameter}), **sources.get(name, {})}
        for name, value in found.parameters.items()
    ]
    listed = [
        {"artifact_key": name, "artifacts": [artifact(item) for item in items], **sources.get(name, {}), "type": artifacts}
        for name, items in found.artifacts.items()
    ]
    return _kept({"parameters": parameters, "artifacts": listed})


def artifact(found: Artifact) -> Json:
    """One artifact inside a task."""
    body = {
        "artifact_id": found.id,
        "name": found.name,
        # KFP has eight types; the schema's title tells those apart that it takes for plain artifacts.
        "type": _ARTIFACT_TYPES.get(found.type, "Artifact"),
        "schema_title": found.type,
        "uri": found.uri,
        "metadata": found.metadata,
        "digest": found.digest,
    }
    return {**_kept(body), **({"size": found.size} if found.size is not None else {})}


def artifact_record(record: ArtifactRecord) -> Json:
    """One artifact by itself."""
    own = {
        "artifact_id": record.id,
        "namespace": record.namespace,
        "run_id": record.run,
        "task_id": record.task,
        "created_at": _time(record.created_at),
    }
    return {**artifact(record.artifact), **_kept(own)}


def cache_entry(found: Entry, expires: datetime | None) -> Json:
    """A result that may be used again."""
    task = found.task
    body = {
        "cache_fingerprint": task.cache_key,
        "pipeline_name": found.pipeline,
        "component": task.component,
        "task_name": task.name,
        "run_id": found.run,
        "namespace": found.namespace,
        "created_at": _time(task.finished_at),
        "expires_at": _time(expires),
    }
    return {"task_id": task.id, **_kept(body)}


def artifact_task(edge: Edge, maker: str | None) -> Json:
    """That a task read or made an artifact, under which name.

    Args:
        edge: The link.
        maker: Id of the task that made the artifact, if that is known.
    """
    body = {
        "id": f"{edge.run}/{edge.task}/{edge.direction}/{edge.key}/{edge.position}",
        "artifact_id": edge.artifact,
        "run_id": edge.run,
        "key": edge.key,
        "type": next(kind for kind, direction in DIRECTIONS.items() if direction == edge.direction),
        "producer": wires.producer(maker) if maker else None,
    }
    return {"task_id": edge.task, **_kept(body)}


def task(
    found: Task,
    run_id: str,
    attempts: list[Attempt] | None = None,
    events: Mapping[int, list[PodEvent]] | None = None,
    *,
    pipeline: Pipeline | None = None,
    children: Iterable[Task] = (),
) -> Json:
    """One task of a run.

    Args:
        found: The task.
        run_id: Its run.
        attempts: Its attempts, to be shown with it.
        events: What was said of their Pods, by attempt.
        pipeline: What the run runs, for what people call the task and where its inputs come from.
        children: The tasks right below it, to be shown with it.
    """
    body: Json = {
        **_plain(found, pipeline),
        "run_id": run_id,
        "error": error(found.failure),
        "cache_fingerprint": found.cache_key,
        "cached": True if found.state is State.CACHED else None,
        "child_tasks": [{"task_id": child.id, "name": child.name} for child in children],
        **_native(found, wires.sources(pipeline, found.id) if found.inputs is not None else {}),
    }
    if attempts:
        body["attempts"] = [attempt(one, (events or {}).get(one.number, ())) for one in attempts]
        body["pods"] = [_kept({"name": one.pod_name, "uid": one.pod_uid, "type": "EXECUTOR"}) for one in attempts]
    return _placed(found, body)


def task_in_short(found: Task, attempts: Iterable[Attempt] = (), *, pipeline: Pipeline | None = None) -> Json:
    """What a task is, where it stands and when it ran, without what went in and came out: what a graph of thousands shows.

    Args:
        found: The task.
        attempts: Its attempts.
        pipeline: What the run runs, for what people call the task.
    """
    body = {**_plain(found, pipeline), "type": _task_type(found)}
    if tries := [attempt(one) for one in attempts]:
        body["attempts"] = tries
    return _placed(found, body)


def _placed(found: Task, body: Json) -> Json:
    """A task's body with what says where it belongs."""
    # The root's id is the empty text, and attempt 0 is one: these are never left out.
    made = {"task_id": found.id, "id": found.id, "attempt": found.attempt, **_kept(body)}
    if found.parent is not None:
        made["parent_task_id"] = made["parent"] = found.parent
    if found.iteration is not None:
        made["iteration_index"] = found.iteration
    return made


def _plain(found: Task, pipeline: Pipeline | None) -> Json:
    """What a task is, where it stands, and when it ran."""
    failure = found.failure
    body: Json = {
        "name": found.name,
        "display_name": _title(found, pipeline),
        "kind": found.kind.value,
        "state": found.state.value,
        "waiting": found.waiting.value if found.waiting else None,
        "iterations": found.iterations,
        "create_time": _time(found.created_at),
        "start_time": _time(found.started_at),
        "end_time": _time(found.finished_at),
        "started_at": _time(found.started_at),
        "finished_at": _time(found.finished_at),
        "retry_at": _time(found.retry_at),
        "cached_from": found.cached_from,
    }
    if failure is not None:
        body["failure"] = _kept(
            {
                "kind": failure.kind,
                "reason": failure.reason,
                "message": failure.message,
                "exit_code": failure.exit_code,
                "task": failure.task,
            }
        )
    return body


def _title(found: Task, pipeline: Pipeline | None) -> str:
    """What people call a task; an iteration has its number."""
    return found.name if pipeline is None or found.iteration is not None else title(pipeline, found.id)


def _native(found: Task, sources: Mapping[str, Json]) -> Json:
    """What KFP 3.0 says of a task in words and forms of its own."""
    number, count = found.iteration, found.iterations
    return {
        "type": _task_type(found),
        "type_attributes": {
            # 64 bits are texts in KFP's JSON.
            **({"iteration_index": str(number)} if number is not None else {}),
            **({"iteration_count": str(count)} if count is not None else {}),
        },
        "scope_path": f"root.{found.id}" if found.id else "root",
        "state_history": _state_history(found),
        "status_metadata": {"message": found.failure.message} if found.failure is not None else None,
        "inputs": _listed(found.inputs, "ITERATOR_INPUT" if number is not None else "", "TASK_OUTPUT_INPUT", sources),
        "outputs": _listed(found.outputs, "OUTPUT", "OUTPUT"),
    }


def _task_type(found: Task) -> str:
    if found.parent is None:
        return "ROOT"
    if found.kind is not Kind.DAG:
        return _TYPES[found.kind]
    return next((kind for prefix, kind in _GROUPS.items() if found.name.startswith(prefix)), "DAG")


def _state_history(found: Task) -> list[Json]:
    """The states that a task's times tell of."""
    told = [(State.PENDING, found.created_at), (State.RUNNING, found.started_at)]
    before = [{"state": state.value, "update_time": _time(at)} for state, at in told if at is not None]
    if found.state is State.PENDING:  # of one that waits for its next try, the last has started
        return before[:1]
    if not found.state.finished:
        return before
    return [*before, _kept({"state": found.state.value, "update_time": _time(found.finished_at), "error": error(found.failure)})]


def pod_event(found: PodEvent) -> Json:
    """Something that Kubernetes said of a Pod."""
    body = {
        "task_id": found.task,
        "attempt": found.attempt,
        "type": found.type,
        "reason": found.reason,
        "message": found.message,
        "source": found.source,
        "count": found.count,
        "first_seen": _time(found.first_at),
        "last_seen": _time(found.last_at),
    }
    return {name: value for name, value in body.items() if value != ""}


def attempt(found: Attempt, events: Iterable[PodEvent] = ()) -> Json:
    """One try of a step, with what was said of its Pod where that is asked for."""
    body = {
        "pod_name": found.pod_name,
        "pod_uid": found.pod_uid,
        "state": found.state.value,
        "create_time": _time(found.created_at),
        "start_time": _time(found.started_at),
        "end_time": _time(found.finished_at),
        "error": error(found.failure),
        "resources": _kept({"cpu_seconds": found.cpu_seconds, "peak_memory_bytes": found.peak_memory}),
    }
    said = [pod_event(event) for event in events]
    return {"attempt": found.number, **_kept(body), **({"events": said} if said else {})}


def pipeline(record: PipelineRecord) -> Json:
    """A stored pipeline."""
    body = {
        "pipeline_id": record.id,
        "name": record.name,
        "display_name": record.display_name,
        "description": record.description,
        "namespace": record.namespace,
        "tags": record.tags,
        "created_at": _time(record.created_at),
    }
    return _kept(body)


def version(record: VersionRecord, spec: Spec | None = None) -> Json:
    """A version of a stored pipeline."""
    body = {
        "pipeline_id": record.pipeline_id,
        "pipeline_version_id": record.id,
        "name": record.name,
        "display_name": record.display_name,
        "description": record.description,
        "tags": record.tags,
        "created_at": _time(record.created_at),
        "code_source_url": record.code_source_url,
        "package_url": {"pipeline_url": record.package_url} if record.package_url else None,
        "pipeline_spec": documents(spec) if spec is not None else None,
    }
    return _kept(body)


def run_tasks(
    tasks: Iterable[Task], attempts: Iterable[Attempt], run_id: str, *, full: bool, pipeline: Pipeline | None = None
) -> Json:
    """The tasks of a run inside the run: as clients up to KFP 2.18 know them, and with ``full`` as those of 3.0 do."""
    tries: dict[str, list[Attempt]] = {}
    for one in sorted(attempts, key=lambda attempt: attempt.number):
        tries.setdefault(one.task, []).append(one)
    rows = sorted(tasks, key=lambda task: (task.created_at, task.id))
    children = by_parent(rows)
    details = [
        _detail(row, tries.get(row.id, []), children.get(row.id, []), run_id) | {"display_name": _title(row, pipeline) or "root"}
        for row in rows
    ]
    shown = (
        [task(row, run_id, tries.get(row.id), pipeline=pipeline, children=children.get(row.id, ())) for row in rows]
        if full
        else []
    )
    return _kept({"run_details": _kept({"task_details": details}), "tasks": shown})


def by_parent(rows: Iterable[Task]) -> dict[str, list[Task]]:
    """Tasks by the id of what they are right below."""
    found: dict[str, list[Task]] = {}
    for row in rows:
        if row.parent is not None:
            found.setdefault(row.parent, []).append(row)
    return found


def _detail(found: Task, attempts: list[Attempt], children: list[Task], run_id: str) -> Json:
    last = max(attempts, key=lambda one: one.number, default=None)
    inputs, outputs = ((side.artifacts if side is not None else {}) for side in (found.inputs, found.outputs))
    body = {
        "run_id": run_id,
        "create_time": _time(found.created_at),
        "start_time": _time(found.started_at),
        "end_time": _time(found.finished_at),
        # KFP's older word for a result that was reused, which has no state of its own there.
        "state": "SUCCEEDED" if found.state is State.CACHED else found.state.value,
        "error": error(found.failure),
        "inputs": {name: {"artifact_ids": [one.id for one in listed if one.id]} for name, listed in inputs.items()},
        "outputs": {name: {"artifact_ids": [one.id for one in listed if one.id]} for name, listed in outputs.items()},
        "pod_name": last.pod_name if last is not None else None,
        "child_tasks": [{"task_id": child.id} for child in children],
    }
    above = {} if found.parent is None else {"parent_task_id": found.parent}  # the root's id is the empty text
    return {"task_id": found.id, **above, **_kept(body)}


def recurring_run(record: RecurringRun, spec: Spec | None = None) -> Json:
    """A recurring run.

    Args:
        record: What is stored.
        spec: The pipeline that was given with it, to be shown too.
    """
    trigger = record.trigger
    limits = {"start_time": _time(trigger.start), "end_time": _time(trigger.end)}
    schedule = (
        {"cron_schedule": _kept({"cron": trigger.cron, **limits})}
        if trigger.cron
        else {"periodic_schedule": _kept({"interval_second": str(trigger.interval), **limits})}
    )
    reference = {"pipeline_id": record.pipeline_id, "pipeline_version_id": record.pipeline_version_id}
    body = {
        "recurring_run_id": record.id,
        "display_name": record.display_name,
        "description": record.description,
        "experiment_id": record.experiment_id,
        "namespace": record.namespace,
        "pipeline_spec": documents(spec) if spec is not None else None,
        "pipeline_version_reference": _kept(reference),
        "runtime_config": _kept({"parameters": record.parameters, "pipeline_root": record.pipeline_root}),
        "service_account": record.service_account,
        "tags": record.tags,
        "max_concurrency": str(record.max_concurrency),  # 64 bits are texts in KFP's JSON
        "trigger": schedule,
        "trigger_in_words": trigger.in_words(),
        "mode": "ENABLE" if record.enabled else "DISABLE",
        "status": "ENABLED" if record.enabled else "DISABLED",
        "no_catchup": record.no_catchup or None,
        "created_at": _time(record.created_at),
        "updated_at": _time(record.updated_at),
        "next_run_at": _time(trigger.after(record.since)) if record.enabled else None,
        "error": {"code": _CODES["user"], "message": record.error} if record.error else None,
    }
    return _kept(body)


def experiment(record: ExperimentRecord) -> Json:
    """An experiment."""
    body = {
        "experiment_id": record.id,
        "display_name": record.display_name,
        "description": record.description,
        "namespace": record.namespace,
        "storage_state": record.storage_state,
        "created_at": _time(record.created_at),
        "last_run_created_at": _time(record.last_run_created_at or record.created_at),
    }
    return _kept(body)
