"""OpenLineage events of runs and tasks: what has happened, in the words of openlineage.io's specification 2-0-2.

A run's first life has the run's own id. A run that goes on after its end (retried, resumed) is another run to OpenLineage, which
knows no way back from an end; so are its tasks. Iterations of a loop are runs of one job. Tasks that never began say nothing.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from kedge.kube.clock import micro_timestamp
from kedge.pipelines.engine.types import Artifact, Kind, State, Task, Values
from kedge.pipelines.records import LIVE_RUN_STATES, RunRecord

Json = dict[str, Any]
PRODUCER = "https://kedge.dev"
_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_IDS = uuid.UUID("7f0f5c0e-6a0f-4c52-9f54-0f7d3b1c6a11")
_ENDS = {
    "SUCCEEDED": "COMPLETE",
    "CACHED": "COMPLETE",
    "SKIPPED": "COMPLETE",
    "FAILED": "FAIL",
    "CANCELED": "ABORT",
}


def generation(run: RunRecord) -> int:
    """How often the run has gone on after an end."""
    states = [state for state, _ in run.state_history]
    return sum(state not in LIVE_RUN_STATES and after in LIVE_RUN_STATES for state, after in pairwise(states))


def of_run(run: RunRecord, version: str) -> list[tuple[str, Json]]:
    """The events that a run's record stands for: ``START``, and its end; each with what kind it is (``start`` or ``end``)."""
    if run.started_at is None and not run.finished:
        return []
    facets: Json = _engine(version)
    if run.scheduled_at is not None:
        facets["nominalTime"] = _facet("1-0-1/NominalTimeRunFacet", nominalStartTime=micro_timestamp(run.scheduled_at))
    job = {"namespace": _namespace(run), "name": run.pipeline_name, "facets": _job_type("PIPELINE")}
    made = [("start", _event("START", run.started_at or run.finished_at or run.created_at, _run_id(run), facets, job))]
    if run.finished and run.finished_at is not None:
        failed = _error(run.failure.message) if run.failure is not None and run.state == "FAILED" else {}
        made.append(("end", _event(_ENDS[run.state], run.finished_at, _run_id(run), facets | failed, job)))
    return made


def of_task(run: RunRecord, task: Task, version: str) -> list[tuple[str, Json]]:
    """The events that a task's row stands for, likewise; code is added by `with_code`."""
    started = task.started_at or (task.finished_at if task.state in (State.CACHED, State.FAILED) else None)
    if task.kind not in (Kind.STEP, Kind.IMPORTER) or started is None or task.state is State.SKIPPED:
        return []
    name = ".".join([run.pipeline_name, *(part for part in task.id.split(".") if not part.isdigit())])
    parent = {"namespace": _namespace(run), "name": run.pipeline_name}
    facets = _engine(version) | {
        "parent": _facet("1-2-0/ParentRunFacet", run={"runId": _run_id(run)}, job=parent),
    }
    job = {"namespace": _namespace(run), "name": name, "facets": _job_type("TASK")}
    run_id = str(uuid.uuid5(_IDS, f"{run.id}/{generation(run)}/{task.id}"))
    inputs = _datasets(task.inputs)
    made = [("start", _event("START", started, run_id, facets, job, inputs))]
    if task.state.finished and task.finished_at is not None:
        failed = _error(task.failure.message) if task.failure is not None and task.state is State.FAILED else {}
        outputs = _datasets(task.outputs, made=True)
        made.append(("end", _event(_ENDS[task.state], task.finished_at, run_id, facets | failed, job, inputs, outputs)))
    return made


def with_code(event: Json, code: Mapping[str, Any]) -> Json:
    """The event with where its job's code is; see `kedge.pipelines.origins.code_of`."""
    facets: Json = {}
    if code.get("kind") == "python":
        facets["sourceCode"] = _facet("1-0-1/SourceCodeJobFacet", language="python", sourceCode=code["source"])
    checkout = code.get("checkout") or {}
    if checkout.get("remote"):
        located = {"url": checkout["remote"], "repoUrl": checkout["remote"], "path": checkout.get("path", "")}
        located |= {"version": checkout["commit"]} | ({"branch": checkout["branch"]} if checkout.get("branch") else {})
        facets["sourceCodeLocation"] = _facet("1-1-0/SourceCodeLocationJobFacet", type="git", **located)
    job = event["job"]
    return event | {"job": job | {"facets": job["facets"] | facets}}


def dataset_name(uri: str) -> tuple[str, str]:
    """Namespace and name of what lies at an address, by the specification's rules.

    Examples:
        >>> dataset_name("s3://bucket/a/b"), dataset_name("file:///data/a%20b")
        (('s3://bucket', 'a/b'), ('file', '/data/a b'))
    """
    if uri.startswith("/"):
        return "file", uri
    split = urlsplit(uri)
    if split.scheme == "file":
        return "file", unquote(split.path)
    place = "s3" if split.scheme == "minio" else split.scheme
    if not place or not split.netloc:
        return place or "kedge", uri.partition(":")[2].lstrip("/") or uri
    return f"{place}://{split.netloc.rpartition('@')[2]}", split.path.strip("/") or "/"


def _datasets(values: Values | None, *, made: bool = False) -> list[Json]:
    listed: Iterable[Artifact] = () if values is None else (one for some in values.artifacts.values() for one in some)
    return [_dataset(one, made=made) for one in listed if one.uri]


def _dataset(artifact: Artifact, *, made: bool) -> Json:
    namespace, name = dataset_name(artifact.uri)
    tags = [{"key": "artifact_id", "value": artifact.id, "source": "KEDGE"}] if artifact.id else []
    facets = {
        "dataSource": _facet("1-0-1/DatasourceDatasetFacet", name=namespace, uri=namespace),
        "datasetType": _facet("1-0-1/DatasetTypeDatasetFacet", datasetType=artifact.type),
    }
    if artifact.digest:
        facets["version"] = _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=artifact.digest)
    if tags:
        facets["tags"] = _facet("1-0-0/TagsDatasetFacet", tags=tags)
    found: Json = {"namespace": namespace, "name": name, "facets": facets}
    if made and artifact.size is not None:
        found["outputFacets"] = {"outputStatistics": _facet("1-0-2/OutputStatisticsOutputDatasetFacet", size=artifact.size)}
    return found


def _event(kind: str, at: datetime, run_id: str, run_facets: Json, job: Json, *datasets: list[Json]) -> Json:
    inputs, outputs = [*datasets, [], []][:2]
    return {
        "eventType": kind,
        "eventTime": micro_timestamp(at),
        "run": {"runId": run_id, "facets": run_facets},
        "job": job,
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": _SPEC,
    }


def _run_id(run: RunRecord) -> str:
    number = generation(run)
    return run.id if number == 0 else str(uuid.uuid5(_IDS, f"{run.id}/{number}"))


def _namespace(run: RunRecord) -> str:
    return f"kedge://{run.namespace}"


def _engine(version: str) -> Json:
    return {
        "processing_engine": _facet(
            "1-1-1/ProcessingEngineRunFacet", name="kedge", version=version, openlineageAdapterVersion=version
        )
    }


def _job_type(kind: str) -> Json:
    return {"jobType": _facet("2-0-4/JobTypeJobFacet", processingType="BATCH", integration="KEDGE", jobType=kind)}


def _error(message: str) -> Json:
    return {"errorMessage": _facet("1-0-1/ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON")}


def _facet(schema: str, **values: Any) -> Json:
    name = schema.rpartition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{_FACETS}/{schema}.json#/$defs/{name}", **values}
