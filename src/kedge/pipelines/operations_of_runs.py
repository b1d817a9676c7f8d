"""The table of the REST API's operations, first half: runs, and what they make."""

from typing import Literal, NoReturn

from kedge.errors import BadRequest
from kedge.pipelines import rest_bodies as bodies
from kedge.pipelines.operations import LISTING, NAMESPACE, Call, Operation, Param
from kedge.pipelines.rest_artifacts import ArtifactEndpoints
from kedge.pipelines.rest_cache import CacheEndpoints
from kedge.pipelines.rest_metrics import MetricEndpoints
from kedge.pipelines.rest_portable import Portables
from kedge.pipelines.rest_runs import Runs
from kedge.pipelines.rest_tasks import Tasks
from kedge.pipelines.rights import NOTHING, may
from kedge.pipelines.subjects import Subjects

V1 = "/apis/v1alpha1"
"""Where upstream has logs."""
_CREATING = (
    NAMESPACE,
    Param("experiment_id", text="Its group, if the body names none."),
    Param("cache", "boolean", "Whether finished tasks may be reused."),
)
_OF_EXPERIMENT = Param("experiment_id", text="Of this experiment alone.")
_IGNORED_EXPERIMENT = Param("experiment_id", text="Taken, and passed over: ids of runs are unique.")
_VIEW = Param("view", text="Taken, and passed over: all of it is shown.")


def runs(runs: Runs, of: Subjects) -> list[Operation]:
    """Of runs."""
    one = "/runs/{run_id}"
    return [
        Operation(
            method="POST",
            path="/runs",
            work=runs.create,
            rights=may("create runs", of.made_in_experiment) + may("get pipelines", of.referenced),
            summary="Start a run",
            answer="Run",
            query=_CREATING,
            body=bodies.Run,
        ),
        Operation(
            method="GET",
            path="/runs",
            work=runs.list,
            rights=may("list runs", of.listed_by_experiment),
            summary="List runs",
            answer="Runs",
            streams="application/json-seq",
            query=(
                *LISTING,
                NAMESPACE,
                _OF_EXPERIMENT,
                _VIEW,
                Param("watch", "boolean", "One JSON a line for each run that begins, changes or is deleted from now on."),
            ),
        ),
        Operation(
            method="GET",
            path=one,
            work=runs.get,
            rights=may("get runs", of.run),
            summary="Show a run",
            answer="Run",
            query=(_IGNORED_EXPERIMENT, Param("view", text="FULL shows its tasks too; DEFAULT when left out.")),
        ),
        Operation(
            method="DELETE",
            path=one,
            work=runs.delete,
            rights=may("delete runs", of.run),
            summary="Delete a run with what it made, ending it first",
            answer="Deletion",
            query=(_IGNORED_EXPERIMENT, Param("keep_artifacts", "boolean", "Leave its artifacts where they are.")),
        ),
        Operation(
            method="POST",
            path=one + ":terminate",
            work=runs.terminate,
            rights=may("terminate runs", of.run),
            summary="End a run",
            query=(_IGNORED_EXPERIMENT,),
        ),
        _beforehand(runs, of),
        *_runs_again(runs, of),
    ]


def _beforehand(runs: Runs, of: Subjects) -> Operation:
    return Operation(
        method="POST",
        path="/runs:validate",
        work=runs.validate,
        rights=may("create runs", of.made_in_experiment) + may("get pipelines", of.referenced),
        summary="Say whether a run could be started, without starting one; a refusal names every field at fault",
        query=_CREATING,
        body=bodies.Run,
    )


def _runs_again(runs: Runs, of: Subjects) -> list[Operation]:
    one = "/runs/{run_id}"
    return [
        Operation(
            method="POST",
            path=one + ":retry",
            work=runs.retry,
            rights=may("retry runs", of.run),
            summary="Go on with a run that failed, from where it failed; or run one of its tasks again, and what depends on it",
            answer="Resumption",
            query=(_IGNORED_EXPERIMENT, Param("task_id", text="Only this task, by its id or name, and what depends on it.")),
        ),
        Operation(
            method="POST",
            path=one + ":resume",
            work=runs.resume,
            rights=may("retry runs", of.run) + may("create runs", of.run) + may("get pipelines", of.referenced),
            summary="Go on with a run that failed, with a changed pipeline; what is unchanged and succeeded is kept",
            answer="Resumption",
            body=bodies.Resumption,
        ),
        Operation(
            method="POST",
            path=one + ":tag",
            work=runs.tag,
            rights=may("archive runs", of.run),
            summary="Set tags of a run, or take them away, also after its end; the others stay",
            answer="Run",
            body=bodies.Tags,
        ),
        Operation(
            method="POST",
            path=one + ":archive",
            work=runs.archive,
            rights=may("archive runs", of.run),
            summary="Archive a run",
            query=(_IGNORED_EXPERIMENT,),
        ),
        Operation(
            method="POST",
            path=one + ":unarchive",
            work=runs.unarchive,
            rights=may("unarchive runs", of.run),
            summary="Restore a run",
            query=(_IGNORED_EXPERIMENT,),
        ),
    ]


def tasks(tasks: Tasks, of: Subjects) -> list[Operation]:
    """Of the tasks of runs, and their logs."""
    run = "/runs/{run_id}"
    return [
        Operation(
            method="GET",
            path=run + "/tasks",
            work=tasks.tasks,
            rights=may("get runs", of.run),
            summary="List all tasks of a run, or a page of them where something of a page is asked for",
            answer="Tasks",
            streams="application/json-seq",
            query=(
                Param("watch", "boolean", "One JSON a line for each change, until the run is over."),
                Param("parent_id", text="Only the tasks right below this one; the root's id is empty."),
                Param("view", text="BASIC leaves out inputs and outputs."),
                *LISTING,
            ),
        ),
        Operation(
            method="GET",
            path=run + "/tasks/{task_id}",
            work=tasks.task,
            rights=may("get runs", of.run),
            summary="Show a task",
            answer="Task",
        ),
        Operation(
            method="GET",
            path=run + "/tasks/{task_id}/pod",
            work=tasks.pod,
            rights=may("get runs", of.run),
            summary="Show a step's Pod",
            answer="StepPod",
        ),
        Operation(
            method="GET",
            path=run + "/events",
            work=tasks.events,
            rights=may("get runs", of.run),
            summary="List what Kubernetes said of a run's Pods, oldest first; also of Pods that are gone",
            answer="PodEvents",
            query=(*LISTING[:2], Param("task_id", text="Of this task alone.")),
        ),
        *_written(tasks, of),
    ]


def _written(tasks: Tasks, of: Subjects) -> list[Operation]:
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
            path=run + "/tasks/{task_id}/logs",
            work=tasks.log,
            rights=may("get runs", of.run),
            summary="Read what a step wrote",
            query=reading,
            media="text/plain",
        ),
        Operation(
            method="GET",
            path=f"{V1}/runs/{{run_id}}/nodes/{{node_id}}/log",
            work=tasks.node_log,
            rights=may("get runs", of.run),
            summary="Read what a step wrote, by its Pod's name",
            query=(follow,),
            media="text/plain",
        ),
        Operation(
            method="GET",
            path=run + "/nodes/{node_id}/artifacts/{artifact_name}:read",
            work=tasks.node_artifact,
            rights=may("readArtifact runs", of.run),
            summary="Read an output artifact of a step, by its Pod's name",
            answer="NodeArtifact",
            query=(_IGNORED_EXPERIMENT,),
        ),
    ]


def artifacts(artifacts: ArtifactEndpoints, of: Subjects) -> list[Operation]:
    """Of artifacts, and what is known of where they come from."""
    one = "/artifacts/{artifact_id}"
    return [
        Operation(
            method="GET",
            path="/artifacts",
            work=artifacts.list,
            rights=may("list runs", of.listed_by_run),
            summary="List artifacts",
            answer="Artifacts",
            query=(*LISTING, NAMESPACE, Param("run_id", text="Those that this run made, or took from the cache.")),
        ),
        Operation(
            method="GET",
            path=one,
            work=artifacts.get,
            rights=may("get runs", of.artifact),
            summary="Show an artifact",
            answer="Artifact",
            query=(_VIEW,),
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}:lineage",
            work=artifacts.run_events,
            rights=may("get runs", of.run),
            summary="List the OpenLineage events of a run, as far as it has come",
            answer="LineageEvents",
        ),
        Operation(
            method="GET",
            path=one + "/origin",
            work=artifacts.origin,
            rights=may("get runs", of.artifact),
            summary="Show what made an artifact: task, attempt, run, version of the pipeline, and code",
            answer="Origin",
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/tasks/{task_id}/origin",
            work=artifacts.task_origin,
            rights=may("get runs", of.run),
            summary="Show with which version of the pipeline and which code a task's outputs were made",
            answer="Origin",
        ),
        Operation(
            method="GET",
            path=one + "/files",
            work=artifacts.files,
            rights=may("get runs", of.artifact),
            summary="List the files of a folder",
            answer="ArtifactFiles",
        ),
        *_links_and_content(artifacts, of),
    ]


def _links_and_content(artifacts: ArtifactEndpoints, of: Subjects) -> list[Operation]:
    one = "/artifacts/{artifact_id}"
    return [
        Operation(
            method="GET",
            path="/artifact_tasks",
            work=artifacts.links,
            rights=may("list runs", of.linked),
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
            rights=may("readArtifact runs", of.artifact),
            summary="Read an artifact's bytes",
            query=(Param("path", text="A file of a folder."),),
            media="application/octet-stream",
        ),
    ]


def metrics(metrics: MetricEndpoints, of: Subjects) -> list[Operation]:
    """Of the metrics of runs."""
    return [
        Operation(
            method="GET",
            path="/runs/{run_id}/metrics",
            work=metrics.metrics,
            rights=may("get runs", of.run),
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


def portables(portables: Portables, of: Subjects) -> list[Operation]:
    """Of runs as files."""
    return [
        Operation(
            method="GET",
            path="/runs/{run_id}:export",
            work=portables.export,
            rights=may("readArtifact runs", of.run),
            summary="Read a run that is over as one file, with its artifacts and logs",
            media="application/gzip",
        ),
        Operation(
            method="POST",
            path="/runs:import",
            work=portables.take,
            rights=may("create runs", of.taken),
            summary="Take in a run that was exported; the body is the file",
            query=(Param("namespace", text="Where it goes; where it was when left out."),),
            answer="Run",
        ),
    ]


def cache(cache: CacheEndpoints, of: Subjects) -> list[Operation]:
    """Of results that may be used again."""
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
            rights=may("list runs", of.listed),
            summary="List results that may be used again, newest first",
            answer="CacheEntries",
            query=(*LISTING[:2], *choosing),
        ),
        Operation(
            method="GET",
            path=every + "/{cache_fingerprint}",
            work=cache.get,
            rights=may("get runs", of.listed),
            summary="Show a result that may be used again, and whether its artifacts are still there",
            answer="CacheEntry",
            query=choosing[:2],
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/tasks/{task_id}/cache",
            work=cache.of_task,
            rights=may("get runs", of.run),
            summary="Show whether a step's result came from the cache, and why it did not",
            answer="CacheAnswer",
        ),
        Operation(
            method="DELETE",
            path=every,
            work=cache.clear,
            rights=may("delete runs", of.listed),
            summary="Let results not be used again; what was made stays with its runs",
            answer="ClearedCache",
            query=(*choosing, Param("all", "boolean", "Every one; must be said where nothing else is.")),
        ),
    ]


def reports() -> list[Operation]:
    """Of upstream's own parts, which report to the server what the hub here knows itself: refused by name."""

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
            Operation(method="POST", path=path, work=refuse, rights=NOTHING, summary="Refused: there is no persistence agent")
            for path in ("/workflows", "/scheduledworkflows")
        ),
        *(
            Operation(
                method=method,
                path=path,
                work=refuse_launcher,
                rights=NOTHING,
                summary="Refused: the hub records what steps do itself",
            )
            for method, path in launchers
        ),
    ]
