"""The REST API of pipelines: Kubeflow Pipelines' v2beta1 names and shapes, and the native tasks and artifacts of its 3.0.

This module is the table of operations: routes, checks of parameters and bodies, and the OpenAPI document at
``/apis/v2beta1/openapi.json`` are made of it. Unknown paths below the prefix are answered in the same shape as every other error,
because clients parse it.
"""

from dataclasses import dataclass
from typing import Literal, NoReturn

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kedge.errors import BadRequest, NotFound
from kedge.pipelines import answers, openapi
from kedge.pipelines import rest_bodies as bodies
from kedge.pipelines.operations import LISTING, NAMESPACE, Call, Operation, Param, Place
from kedge.pipelines.rest_artifacts import ArtifactEndpoints
from kedge.pipelines.rest_cache import CacheEndpoints
from kedge.pipelines.rest_experiments import Experiments
from kedge.pipelines.rest_metrics import MetricEndpoints
from kedge.pipelines.rest_pipelines import Pipelines
from kedge.pipelines.rest_portable import Portables
from kedge.pipelines.rest_recurring import RecurringRunEndpoints
from kedge.pipelines.rest_runs import Runs
from kedge.pipelines.rest_tasks import Tasks
from kedge.server.auth import User
from kedge.server.callers import Callers, Everyone

PREFIX = "/apis/v2beta1"
_V1 = "/apis/v1alpha1"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What does the work, by what it is about."""

    runs: Runs
    tasks: Tasks
    pipelines: Pipelines
    experiments: Experiments
    recurring: RecurringRunEndpoints
    artifacts: ArtifactEndpoints
    metrics: MetricEndpoints
    portables: Portables
    cache: CacheEndpoints


def routes(endpoints: Endpoints, *, callers: Callers | None, version: str) -> list[BaseRoute]:
    """Every route, in the order in which they must be tried.

    Args:
        endpoints: What does the work.
        callers: Knows who asks; ``None`` lets everyone in.
        version: Kedge's version, for ``/healthz`` and the document.
    """
    known = callers or Everyone()

    async def healthz(call: Call) -> Response:
        del call
        body = {"commit_sha": "", "tag_name": version, "multi_user": known.multi_user, "pipeline_store": "database"}
        return answers.answer({name: value for name, value in body.items() if value != ""})

    async def document(call: Call) -> Response:
        del call
        return answers.answer(made)

    async def unknown(request: Request, user: User) -> Response:
        del user
        raise NotFound(f"{request.method} {request.url.path}: there is no such operation in the pipelines API.")

    health = Operation(
        method="GET", path="/healthz", work=healthz, summary="Whether the API serves", answer="Health", public=True
    )
    listed = [health, *operations(endpoints)]
    made = openapi.document(listed, PREFIX, version)
    described = Operation(
        method="GET", path="/openapi.json", work=document, summary="The OpenAPI document", answer="Document", public=True
    )
    by_path: dict[str, list[Operation]] = {}
    for operation in [*listed, described]:
        by_path.setdefault(operation.path, []).append(operation)
    found: list[BaseRoute] = [
        Route(path if path.startswith("/apis/") else PREFIX + path, Place(some, Everyone() if some[0].public else known))
        for path, some in sorted(by_path.items(), key=_precedence)
    ]
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    refuse = answers.guarded(unknown, known)
    return [*found, *(Route(f"{prefix}/{{rest:path}}", refuse, methods=every) for prefix in (PREFIX, _V1))]


def _precedence(item: tuple[str, list[Operation]]) -> tuple[int, int]:
    """Paths with verbs and fixed words before those that would take them for names."""
    path = item[0]
    return path.count("{"), -len(path)


def operations(endpoints: Endpoints) -> list[Operation]:
    """The table."""
    return [
        *_runs(endpoints.runs),
        *_tasks(endpoints.tasks),
        *_pipelines(endpoints.pipelines),
        *_versions(endpoints.pipelines),
        *_experiments(endpoints.experiments),
        *_recurring(endpoints.recurring),
        *_artifacts(endpoints.artifacts),
        *_metrics(endpoints.metrics),
        *_portables(endpoints.portables),
        *_cache(endpoints.cache),
        *_reports(),
    ]


_CREATING = (
    NAMESPACE,
    Param("experiment_id", text="Its group, if the body names none."),
    Param("cache", "boolean", "Whether finished tasks may be reused."),
)
_OF_EXPERIMENT = Param("experiment_id", text="Of this experiment alone.")
_IGNORED_EXPERIMENT = Param("experiment_id", text="Taken, and passed over: ids of runs are unique.")
_VIEW = Param("view", text="Taken, and passed over: all of it is shown.")


def _runs(runs: Runs) -> list[Operation]:
    one = "/runs/{run_id}"
    return [
        Operation(
            method="POST", path="/runs", work=runs.create, summary="Start a run", answer="Run", query=_CREATING, body=bodies.Run
        ),
        Operation(
            method="GET",
            path="/runs",
            work=runs.list,
            summary="List runs",
            answer="Runs",
            query=(*LISTING, NAMESPACE, _OF_EXPERIMENT, _VIEW),
        ),
        Operation(
            method="GET",
            path=one,
            work=runs.get,
            summary="Show a run",
            answer="Run",
            query=(_IGNORED_EXPERIMENT, Param("view", text="FULL shows its tasks too; DEFAULT when left out.")),
        ),
        Operation(
            method="DELETE",
            path=one,
            work=runs.delete,
            summary="Delete a run with what it made, ending it first",
            answer="Deletion",
            query=(_IGNORED_EXPERIMENT, Param("keep_artifacts", "boolean", "Leave its artifacts where they are.")),
        ),
        Operation(method="POST", path=one + ":terminate", work=runs.terminate, summary="End a run", query=(_IGNORED_EXPERIMENT,)),
        Operation(
            method="POST",
            path=one + ":retry",
            work=runs.retry,
            summary="Go on with a run that failed, from where it failed; or run one of its tasks again, and what depends on it",
            answer="Resumption",
            query=(_IGNORED_EXPERIMENT, Param("task_id", text="Only this task, by its id or name, and what depends on it.")),
        ),
        Operation(
            method="POST",
            path=one + ":resume",
            work=runs.resume,
            summary="Go on with a run that failed, with a changed pipeline; what is unchanged and succeeded is kept",
            answer="Resumption",
            body=bodies.Resumption,
        ),
        Operation(method="POST", path=one + ":archive", work=runs.archive, summary="Archive a run", query=(_IGNORED_EXPERIMENT,)),
        Operation(
            method="POST", path=one + ":unarchive", work=runs.unarchive, summary="Restore a run", query=(_IGNORED_EXPERIMENT,)
        ),
    ]


def _tasks(tasks: Tasks) -> list[Operation]:
    run, follow = "/runs/{run_id}", Param("follow", "boolean", "Go on until the step ends, without `attempt` into its retries.")
    reading = (
        follow,
        Param("attempt", "integer", "Which try, from 0; the last when left out."),
        Param("timestamps", "boolean", "Begin each line with its time."),
        Param("tail_lines", "integer", "Only the last so many lines."),
        Param("since_time", text="Only lines from this time on, RFC 3339."),
        Param("since_seconds", "integer", "Only lines of the last so many seconds."),
        Param("container", text="Of the Pod; the step's own when left out."),
    )
    return [
        Operation(
            method="GET",
            path=run + "/tasks",
            work=tasks.tasks,
            summary="List all tasks of a run, or a page of them where something of a page is asked for",
            answer="Tasks",
            streams="application/json-seq",
            query=(
                Param("watch", "boolean", "One JSON a line for each change, until the run is over."),
                Param("parent_id", text="Only the tasks right below this one; the root's id is empty."),
                *LISTING,
            ),
        ),
        Operation(method="GET", path=run + "/tasks/{task_id}", work=tasks.task, summary="Show a task", answer="Task"),
        Operation(method="GET", path=run + "/tasks/{task_id}/pod", work=tasks.pod, summary="Show a step's Pod", answer="StepPod"),
        Operation(
            method="GET",
            path=run + "/events",
            work=tasks.events,
            summary="List what Kubernetes said of a run's Pods, oldest first; also of Pods that are gone",
            answer="PodEvents",
            query=(*LISTING[:2], Param("task_id", text="Of this task alone.")),
        ),
        Operation(
            method="GET",
            path=run + "/tasks/{task_id}/logs",
            work=tasks.log,
            summary="Read what a step wrote",
            query=reading,
            media="text/plain",
        ),
        Operation(
            method="GET",
            path=f"{_V1}/runs/{{run_id}}/nodes/{{node_id}}/log",
            work=tasks.node_log,
            summary="Read what a step wrote, by its Pod's name",
            query=(follow,),
            media="text/plain",
        ),
        Operation(
            method="GET",
            path=run + "/nodes/{node_id}/artifacts/{artifact_name}:read",
            work=tasks.node_artifact,
            summary="Read an output artifact of a step, by its Pod's name",
            answer="NodeArtifact",
            query=(_IGNORED_EXPERIMENT,),
        ),
    ]


_ABOUT = (Param("name"), Param("display_name"), Param("description"), Param("tags", text="A JSON object of texts."))


def _pipelines(pipelines: Pipelines) -> list[Operation]:
    one = "/pipelines/{pipeline_id}"
    return [
        Operation(
            method="POST",
            path="/pipelines",
            work=pipelines.create,
            summary="Store a pipeline that has no version yet",
            answer="Pipeline",
            body=bodies.Pipeline,
        ),
        Operation(
            method="POST",
            path="/pipelines/create",
            work=pipelines.create_with_version,
            summary="Store a pipeline with its first version",
            answer="Pipeline",
            body=bodies.PipelineAndVersion,
        ),
        Operation(
            method="POST",
            path="/pipelines/upload",
            work=pipelines.upload,
            summary="Store a pipeline of a file",
            answer="Pipeline",
            query=(*_ABOUT, NAMESPACE),
            upload=True,
        ),
        Operation(
            method="GET",
            path="/pipelines",
            work=pipelines.list,
            summary="List pipelines",
            answer="Pipelines",
            query=(*LISTING, NAMESPACE),
        ),
        Operation(
            method="GET",
            path="/pipelines/names/{name:path}",
            work=pipelines.named,
            summary="Show the pipeline of a name",
            answer="Pipeline",
            query=(NAMESPACE,),
        ),
        Operation(method="GET", path=one, work=pipelines.get, summary="Show a pipeline", answer="Pipeline"),
        Operation(
            method="PATCH",
            path=one,
            work=pipelines.update,
            summary="Change a pipeline's texts and tags",
            answer="Pipeline",
            body=bodies.Pipeline,
        ),
        Operation(
            method="DELETE",
            path=one,
            work=pipelines.delete,
            summary="Forget a pipeline; its runs stay",
            query=(Param("cascade", "boolean", "With its versions."),),
        ),
    ]


def _versions(pipelines: Pipelines) -> list[Operation]:
    every = "/pipelines/{pipeline_id}/versions"
    one = every + "/{pipeline_version_id}"
    of = Param("pipelineid", text="A version of which pipeline?", required=True)
    return [
        Operation(
            method="POST",
            path="/pipelines/upload_version",
            work=pipelines.upload_version,
            summary="Store a version of a file",
            answer="PipelineVersion",
            query=(of, *_ABOUT),
            upload=True,
        ),
        Operation(
            method="POST",
            path=every,
            work=pipelines.create_version,
            summary="Store a version",
            answer="PipelineVersion",
            body=bodies.PipelineVersion,
        ),
        Operation(
            method="GET",
            path=every,
            work=pipelines.list_versions,
            summary="List the versions of a pipeline",
            answer="PipelineVersions",
            query=LISTING,
        ),
        Operation(method="GET", path=one, work=pipelines.get_version, summary="Show a version", answer="PipelineVersion"),
        Operation(
            method="PATCH",
            path=one,
            work=pipelines.update_version,
            summary="Change a version's texts and tags",
            answer="PipelineVersion",
            body=bodies.PipelineVersion,
        ),
        Operation(method="DELETE", path=one, work=pipelines.delete_version, summary="Forget a version; its runs stay"),
    ]


def _experiments(experiments: Experiments) -> list[Operation]:
    one = "/experiments/{experiment_id}"
    return [
        Operation(
            method="POST",
            path="/experiments",
            work=experiments.create,
            summary="Make an experiment",
            answer="Experiment",
            body=bodies.Experiment,
        ),
        Operation(
            method="GET",
            path="/experiments",
            work=experiments.list,
            summary="List experiments",
            answer="Experiments",
            query=(*LISTING, NAMESPACE),
        ),
        Operation(method="GET", path=one, work=experiments.get, summary="Show an experiment", answer="Experiment"),
        Operation(method="DELETE", path=one, work=experiments.delete, summary="Forget an experiment; its runs stay"),
        Operation(method="POST", path=one + ":archive", work=experiments.archive, summary="Archive an experiment and its runs"),
        Operation(
            method="POST", path=one + ":unarchive", work=experiments.unarchive, summary="Restore an experiment without its runs"
        ),
    ]


def _recurring(recurring: RecurringRunEndpoints) -> list[Operation]:
    every, one = "/recurringruns", "/recurringruns/{recurring_run_id}"
    answer, body = "RecurringRun", bodies.RecurringRun
    return [
        Operation(
            method="POST",
            path=every,
            work=recurring.create,
            summary="Make a recurring run",
            answer=answer,
            query=(NAMESPACE,),
            body=body,
        ),
        Operation(
            method="GET",
            path=every,
            work=recurring.list,
            summary="List recurring runs",
            answer="RecurringRuns",
            query=(*LISTING, NAMESPACE, _OF_EXPERIMENT),
        ),
        Operation(method="GET", path=one, work=recurring.get, summary="Show a recurring run", answer=answer),
        Operation(
            method="PATCH", path=one, work=recurring.update, summary="Change a recurring run in place", answer=answer, body=body
        ),
        Operation(method="DELETE", path=one, work=recurring.delete, summary="Forget a recurring run; its runs stay"),
        Operation(method="POST", path=one + ":enable", work=recurring.enable, summary="Let a recurring run fire"),
        Operation(method="POST", path=one + ":disable", work=recurring.disable, summary="Keep a recurring run from firing"),
    ]


def _artifacts(artifacts: ArtifactEndpoints) -> list[Operation]:
    one = "/artifacts/{artifact_id}"
    return [
        Operation(
            method="GET",
            path="/artifacts",
            work=artifacts.list,
            summary="List artifacts",
            answer="Artifacts",
            query=(*LISTING, NAMESPACE, Param("run_id", text="Those that this run made, or took from the cache.")),
        ),
        Operation(method="GET", path=one, work=artifacts.get, summary="Show an artifact", answer="Artifact", query=(_VIEW,)),
        Operation(
            method="GET",
            path="/runs/{run_id}:lineage",
            work=artifacts.run_events,
            summary="List the OpenLineage events of a run, as far as it has come",
            answer="LineageEvents",
        ),
        Operation(
            method="GET",
            path=one + "/origin",
            work=artifacts.origin,
            summary="Show what made an artifact: task, attempt, run, version of the pipeline, and code",
            answer="Origin",
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/tasks/{task_id}/origin",
            work=artifacts.task_origin,
            summary="Show with which version of the pipeline and which code a task's outputs were made",
            answer="Origin",
        ),
        Operation(
            method="GET", path=one + "/files", work=artifacts.files, summary="List the files of a folder", answer="ArtifactFiles"
        ),
        Operation(
            method="GET",
            path="/artifact_tasks",
            work=artifacts.links,
            summary="List which task read or made which artifact",
            answer="ArtifactTasks",
            query=(
                *LISTING,
                Param("artifact_ids", text="Of these artifacts.", many=True),
                Param("run_ids", text="Of these runs.", many=True),
                Param("task_ids", text="Of tasks with these ids, of any run.", many=True),
                Param("type", text="OUTPUT: who made what. TASK_OUTPUT_INPUT: who read what. Both when left out."),
            ),
        ),
        Operation(
            method="GET",
            path=one + "/content",
            work=artifacts.content,
            summary="Read an artifact's bytes",
            query=(Param("path", text="A file of a folder."),),
            media="application/octet-stream",
        ),
    ]


def _metrics(metrics: MetricEndpoints) -> list[Operation]:
    return [
        Operation(
            method="GET",
            path="/runs/{run_id}/metrics",
            work=metrics.metrics,
            summary="Read the metrics of a run, also while it runs: each in short, or with the points of its series",
            answer="Metrics",
            query=(
                Param("name", text="This metric alone, with its points."),
                Param("task_id", text="Of this task alone."),
                Param("attempt", "integer", "What this try logged, from 0; of each series the last that has any when left out."),
                Param(
                    "max_points",
                    "integer",
                    "With the points of each series, at most so many, chosen so that extremes stay; 1000 where a name is given.",
                ),
            ),
        )
    ]


def _portables(portables: Portables) -> list[Operation]:
    return [
        Operation(
            method="GET",
            path="/runs/{run_id}:export",
            work=portables.export,
            summary="Read a run that is over as one file, with its artifacts and logs",
            media="application/gzip",
        ),
        Operation(
            method="POST",
            path="/runs:import",
            work=portables.take,
            summary="Take in a run that was exported; the body is the file",
            answer="Run",
        ),
    ]


def _cache(cache: CacheEndpoints) -> list[Operation]:
    every = "/cache_entries"
    choosing = (
        NAMESPACE,
        Param("pipeline_name", text="Of the pipeline of this name."),
        Param("component", text="Of this component."),
        Param("task_name", text="Of tasks of this name."),
        Param("before", text="Made before this time (RFC 3339)."),
    )
    return [
        Operation(
            method="GET",
            path=every,
            work=cache.list,
            summary="List results that may be used again, newest first",
            answer="CacheEntries",
            query=(*LISTING[:2], *choosing),
        ),
        Operation(
            method="GET",
            path=every + "/{cache_fingerprint}",
            work=cache.get,
            summary="Show a result that may be used again, and whether its artifacts are still there",
            answer="CacheEntry",
            query=choosing[:2],
        ),
        Operation(
            method="DELETE",
            path=every,
            work=cache.clear,
            summary="Let results not be used again; what was made stays with its runs",
            answer="ClearedCache",
            query=(*choosing, Param("all", "boolean", "Every one; must be said where nothing else is.")),
        ),
    ]


def _reports() -> list[Operation]:
    async def refuse_launcher(call: Call) -> NoReturn:
        raise BadRequest(
            f"{call.request.method} {call.request.url.path}: is how upstream's launcher reports what a step did. Here the hub "
            "records that itself, from the step that ran. To make data from elsewhere an artifact, import it with dsl.importer."
        )

    async def refuse(call: Call) -> NoReturn:
        raise BadRequest(
            f"{call.request.url.path}: is how upstream's persistence agent reports what Argo did. There is none here: the hub "
            f"records what it does itself."
        )

    launchers: list[tuple[Literal["POST", "PATCH"], str]] = [
        ("POST", "/runs/{run_id}/tasks"),
        ("POST", "/runs/{run_id}/tasks:batchUpdate"),
        ("PATCH", "/runs/{run_id}/tasks/{task_id}"),
        ("POST", "/artifacts"),
        ("POST", "/artifacts:batchCreate"),
        ("POST", "/artifact_tasks"),
        ("POST", "/artifact_tasks:batchCreate"),
    ]
    return [
        *(
            Operation(method="POST", path=path, work=refuse, summary="Refused: there is no persistence agent")
            for path in ("/workflows", "/scheduledworkflows")
        ),
        *(
            Operation(method=method, path=path, work=refuse_launcher, summary="Refused: the hub records what steps do itself")
            for method, path in launchers
        ),
    ]
