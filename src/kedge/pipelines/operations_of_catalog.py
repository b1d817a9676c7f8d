"""The table of the REST API's operations, second half: what runs are made of and sorted by."""

from kedge.pipelines import rest_bodies as bodies
from kedge.pipelines.operations import LISTING, NAMESPACE, Operation, Param
from kedge.pipelines.rest_experiments import Experiments
from kedge.pipelines.rest_pipelines import Pipelines
from kedge.pipelines.rest_recurring import RecurringRunEndpoints
from kedge.pipelines.rights import may
from kedge.pipelines.subjects import Subjects

_OF_EXPERIMENT = Param("experiment_id", text="Of this experiment alone.")
_ABOUT = (Param("name"), Param("display_name"), Param("description"), Param("tags", text="A JSON object of texts."))


def pipelines(pipelines: Pipelines, of: Subjects) -> list[Operation]:
    """Of stored pipelines."""
    return [
        Operation(
            method="POST",
            path="/pipelines",
            work=pipelines.create,
            rights=may("create pipelines", of.made_pipeline),
            summary="Store a pipeline that has no version yet",
            answer="Pipeline",
            body=bodies.Pipeline,
        ),
        Operation(
            method="POST",
            path="/pipelines/create",
            work=pipelines.create_with_version,
            rights=may("create pipelines", of.made_pipeline),
            summary="Store a pipeline with its first version",
            answer="Pipeline",
            body=bodies.PipelineAndVersion,
        ),
        Operation(
            method="POST",
            path="/pipelines/upload",
            work=pipelines.upload,
            rights=may("create pipelines", of.made_pipeline),
            summary="Store a pipeline of a file",
            answer="Pipeline",
            query=(*_ABOUT, NAMESPACE),
            upload=True,
        ),
        Operation(
            method="GET",
            path="/pipelines",
            work=pipelines.list,
            rights=may("list pipelines", of.listed_pipelines),
            summary="List pipelines",
            answer="Pipelines",
            query=(*LISTING, NAMESPACE),
        ),
        *_one_pipeline(pipelines, of),
    ]


def _one_pipeline(pipelines: Pipelines, of: Subjects) -> list[Operation]:
    one = "/pipelines/{pipeline_id}"
    return [
        Operation(
            method="GET",
            path="/pipelines/names/{name:path}",
            work=pipelines.named,
            rights=may("get pipelines", of.made_pipeline),
            summary="Show the pipeline of a name",
            answer="Pipeline",
            query=(NAMESPACE,),
        ),
        Operation(
            method="GET",
            path=one,
            work=pipelines.get,
            rights=may("get pipelines", of.pipeline),
            summary="Show a pipeline",
            answer="Pipeline",
        ),
        Operation(
            method="PATCH",
            path=one,
            work=pipelines.update,
            rights=may("update pipelines", of.pipeline),
            summary="Change a pipeline's texts and tags",
            answer="Pipeline",
            body=bodies.Pipeline,
        ),
        Operation(
            method="DELETE",
            path=one,
            work=pipelines.delete,
            rights=may("delete pipelines", of.pipeline),
            summary="Forget a pipeline; its runs stay",
            query=(Param("cascade", "boolean", "With its versions."),),
        ),
    ]


def versions(pipelines: Pipelines, of: Subjects) -> list[Operation]:
    """Of versions of pipelines."""
    every = "/pipelines/{pipeline_id}/versions"
    one = every + "/{pipeline_version_id}"
    whose = Param("pipelineid", text="A version of which pipeline?", required=True)
    return [
        Operation(
            method="POST",
            path="/pipelines/upload_version",
            work=pipelines.upload_version,
            rights=may("create pipelines", of.pipeline),
            summary="Store a version of a file",
            answer="PipelineVersion",
            query=(whose, *_ABOUT),
            upload=True,
        ),
        Operation(
            method="POST",
            path=every,
            work=pipelines.create_version,
            rights=may("create pipelines", of.pipeline),
            summary="Store a version",
            answer="PipelineVersion",
            body=bodies.PipelineVersion,
        ),
        Operation(
            method="GET",
            path=every,
            work=pipelines.list_versions,
            rights=may("list pipelines", of.pipeline),
            summary="List the versions of a pipeline",
            answer="PipelineVersions",
            query=LISTING,
        ),
        Operation(
            method="GET",
            path=one,
            work=pipelines.get_version,
            rights=may("get pipelines", of.version),
            summary="Show a version",
            answer="PipelineVersion",
        ),
        Operation(
            method="PATCH",
            path=one,
            work=pipelines.update_version,
            rights=may("update pipelines", of.version),
            summary="Change a version's texts and tags",
            answer="PipelineVersion",
            body=bodies.PipelineVersion,
        ),
        Operation(
            method="DELETE",
            path=one,
            work=pipelines.delete_version,
            rights=may("delete pipelines", of.version),
            summary="Forget a version; its runs stay",
        ),
    ]


def experiments(experiments: Experiments, of: Subjects) -> list[Operation]:
    """Of experiments."""
    one = "/experiments/{experiment_id}"
    return [
        Operation(
            method="POST",
            path="/experiments",
            work=experiments.create,
            rights=may("create experiments", of.made),
            summary="Make an experiment",
            answer="Experiment",
            body=bodies.Experiment,
        ),
        Operation(
            method="GET",
            path="/experiments",
            work=experiments.list,
            rights=may("list experiments", of.listed),
            summary="List experiments",
            answer="Experiments",
            query=(*LISTING, NAMESPACE),
        ),
        Operation(
            method="GET",
            path=one,
            work=experiments.get,
            rights=may("get experiments", of.experiment),
            summary="Show an experiment",
            answer="Experiment",
        ),
        Operation(
            method="DELETE",
            path=one,
            work=experiments.delete,
            rights=may("delete experiments", of.experiment),
            summary="Forget an experiment; its runs stay",
        ),
        Operation(
            method="POST",
            path=one + ":archive",
            work=experiments.archive,
            rights=may("archive experiments", of.experiment),
            summary="Archive an experiment and its runs",
        ),
        Operation(
            method="POST",
            path=one + ":unarchive",
            work=experiments.unarchive,
            rights=may("unarchive experiments", of.experiment),
            summary="Restore an experiment without its runs",
        ),
    ]


def recurring(recurring: RecurringRunEndpoints, of: Subjects) -> list[Operation]:
    """Of recurring runs."""
    every, one = "/recurringruns", "/recurringruns/{recurring_run_id}"
    answer, body = "RecurringRun", bodies.RecurringRun
    return [
        Operation(
            method="POST",
            path=every,
            work=recurring.create,
            rights=may("create jobs", of.made_in_experiment) + may("get pipelines", of.referenced),
            summary="Make a recurring run",
            answer=answer,
            query=(NAMESPACE,),
            body=body,
        ),
        Operation(
            method="GET",
            path=every,
            work=recurring.list,
            rights=may("list jobs", of.listed_by_experiment),
            summary="List recurring runs",
            answer="RecurringRuns",
            query=(*LISTING, NAMESPACE, _OF_EXPERIMENT),
        ),
        *_previews(recurring, of),
        Operation(
            method="GET",
            path=one,
            work=recurring.get,
            rights=may("get jobs", of.recurring),
            summary="Show a recurring run",
            answer=answer,
        ),
        Operation(
            method="PATCH",
            path=one,
            work=recurring.update,
            rights=may("create jobs", of.recurring) + may("get pipelines", of.referenced),
            summary="Change a recurring run in place",
            answer=answer,
            body=body,
        ),
        *_switches(recurring, of),
    ]


def _previews(recurring: RecurringRunEndpoints, of: Subjects) -> list[Operation]:
    count = Param("count", "integer", "At most so many moments, 1 to 100; 5 when left out.")
    return [
        Operation(
            method="GET",
            path="/recurringruns:preview",
            work=recurring.preview,
            rights=may("list jobs", of.listed),
            summary="Say when a trigger would fire, and in words; nothing is made",
            answer="Moments",
            query=(
                Param("cron", text="A cron expression; or"),
                Param("interval_second", text="seconds between moments."),
                Param("start_time", text="No moment is before it, RFC 3339."),
                Param("end_time", text="No moment is after it, RFC 3339."),
                NAMESPACE,
                count,
            ),
        ),
        Operation(
            method="GET",
            path="/recurringruns/{recurring_run_id}:preview",
            work=recurring.preview_of,
            rights=may("get jobs", of.recurring),
            summary="Say when a recurring run fires next, or would if it were enabled",
            answer="Moments",
            query=(count,),
        ),
    ]


def _switches(recurring: RecurringRunEndpoints, of: Subjects) -> list[Operation]:
    one = "/recurringruns/{recurring_run_id}"
    return [
        Operation(
            method="DELETE",
            path=one,
            work=recurring.delete,
            rights=may("delete jobs", of.recurring),
            summary="Forget a recurring run; its runs stay",
        ),
        Operation(
            method="POST",
            path=one + ":enable",
            work=recurring.enable,
            rights=may("enable jobs", of.recurring),
            summary="Let a recurring run fire",
        ),
        Operation(
            method="POST",
            path=one + ":disable",
            work=recurring.disable,
            rights=may("disable jobs", of.recurring),
            summary="Keep a recurring run from firing",
        ),
    ]
