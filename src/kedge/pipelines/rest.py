"""The REST API of pipelines: Kubeflow Pipelines' v2beta1 names and shapes, and the native tasks and artifacts of its 3.0.

This module is the table of routes; `rest_runs` and `rest_pipelines` do the work. Unknown paths below the prefix are answered in
the same shape as every other error, because clients parse it.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kedge.errors import NotFound
from kedge.pipelines import answers
from kedge.pipelines.rest_pipelines import ArtifactEndpoints, Experiments, Pipelines
from kedge.pipelines.rest_runs import Runs
from kedge.server.auth import Authenticator

PREFIX = "/apis/v2beta1"


def routes(
    runs: Runs,
    pipelines: Pipelines,
    *,
    experiments: Experiments,
    artifacts: ArtifactEndpoints,
    authenticator: Authenticator | None,
    version: str,
) -> list[BaseRoute]:
    """Every route, in the order in which they must be tried.

    Args:
        runs: Endpoints of runs.
        pipelines: Endpoints of stored pipelines.
        experiments: Endpoints of experiments.
        artifacts: Endpoints of artifacts.
        authenticator: Who asks; ``None`` lets everyone in.
        version: Kedge's version, for ``/healthz``.
    """

    async def healthz(request: Request) -> Response:
        del request
        body = {"commit_sha": "", "tag_name": version, "multi_user": False, "pipeline_store": "database"}
        return answers.answer(body)

    async def unknown(request: Request) -> Response:
        raise NotFound(f"{request.method} {request.url.path}: there is no such operation in the pipelines API.")

    table = [
        ("POST", "/runs", runs.create),
        ("GET", "/runs", runs.list),
        ("POST", "/runs/{run_and_verb}", runs.act),
        ("GET", "/runs/{run_id}", runs.get),
        ("DELETE", "/runs/{run_id}", runs.delete),
        ("GET", "/runs/{run_id}/tasks", runs.tasks),
        ("GET", "/runs/{run_id}/tasks/{task_id}/logs", runs.log),
        ("GET", "/runs/{run_id}/tasks/{task_id}", runs.task),
        ("POST", "/pipelines/upload", pipelines.upload),
        ("POST", "/pipelines/upload_version", pipelines.upload_version),
        ("GET", "/pipelines", pipelines.list),
        ("GET", "/pipelines/names/{name:path}", pipelines.named),
        ("GET", "/pipelines/{pipeline_id}/versions", pipelines.list_versions),
        ("GET", "/pipelines/{pipeline_id}/versions/{version_id}", pipelines.get_version),
        ("DELETE", "/pipelines/{pipeline_id}/versions/{version_id}", pipelines.delete_version),
        ("GET", "/pipelines/{pipeline_id}", pipelines.get),
        ("DELETE", "/pipelines/{pipeline_id}", pipelines.delete),
        ("POST", "/experiments", experiments.create),
        ("GET", "/experiments", experiments.list),
        ("POST", "/experiments/{experiment_and_verb}", experiments.act),
        ("GET", "/experiments/{experiment_id}", experiments.get),
        ("DELETE", "/experiments/{experiment_id}", experiments.delete),
        ("GET", "/artifacts", artifacts.list),
        ("GET", "/artifacts/{artifact_id}/content", artifacts.content),
        ("GET", "/artifacts/{artifact_id}", artifacts.get),
    ]
    made: list[BaseRoute] = [Route(f"{PREFIX}/healthz", healthz, methods=["GET"])]
    made += [Route(PREFIX + path, answers.guarded(work, authenticator), methods=[method]) for method, path, work in table]
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    made.append(Route(f"{PREFIX}/{{rest:path}}", answers.guarded(unknown, authenticator), methods=every))
    return made
