"""The REST API of pipelines: Kubeflow Pipelines' v2beta1 names and shapes, and the native tasks and artifacts of its 3.0.

This module is the table of operations: routes, checks of parameters and bodies, and the OpenAPI document at
``/apis/v2beta1/openapi.json`` are made of it. Unknown paths below the prefix are answered in the same shape as every other error,
because clients parse it.
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kedge.errors import NotFound
from kedge.pipelines import answers, openapi, operations_of_catalog, operations_of_runs
from kedge.pipelines.operations import Call, Operation, Place
from kedge.pipelines.operations_of_runs import V1
from kedge.pipelines.rest_artifacts import ArtifactEndpoints
from kedge.pipelines.rest_cache import CacheEndpoints
from kedge.pipelines.rest_caller import CallerEndpoint
from kedge.pipelines.rest_experiments import Experiments
from kedge.pipelines.rest_metrics import MetricEndpoints
from kedge.pipelines.rest_pipelines import Pipelines
from kedge.pipelines.rest_portable import Portables
from kedge.pipelines.rest_recurring import RecurringRunEndpoints
from kedge.pipelines.rest_runs import Runs
from kedge.pipelines.rest_status import Standing, StatusEndpoint
from kedge.pipelines.rest_tasks import Tasks
from kedge.pipelines.rights import NOTHING
from kedge.pipelines.storage import Storage
from kedge.pipelines.subjects import Records, Subjects
from kedge.server.auth import User
from kedge.server.callers import Callers, Everyone

PREFIX = "/apis/v2beta1"


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
    records: Records


def routes(
    endpoints: Endpoints, *, callers: Callers | None, version: str, told: tuple[Storage, Standing] | None = None
) -> list[BaseRoute]:
    """Every route, in the order in which they must be tried.

    Args:
        endpoints: What does the work.
        callers: Knows who asks; ``None`` lets everyone in.
        version: Kedge's version, for ``/healthz`` and the document.
        told: What ``/status`` tells; without it that is not served.
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
        method="GET",
        path="/healthz",
        work=healthz,
        summary="Whether the API serves",
        rights=NOTHING,
        answer="Health",
        public=True,
    )
    caller = CallerEndpoint(known, endpoints.records.catalog).operation()
    listed = [health, caller, *operations(endpoints, multi_user=known.multi_user)]
    if told is not None:
        of = Subjects(endpoints.records, multi_user=known.multi_user)
        listed.append(StatusEndpoint(known, *told).operation(of))
    made = openapi.document(listed, PREFIX, version)
    described = Operation(
        method="GET",
        path="/openapi.json",
        work=document,
        summary="The OpenAPI document",
        rights=NOTHING,
        answer="Document",
        public=True,
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
    return [*found, *(Route(f"{prefix}/{{rest:path}}", refuse, methods=every) for prefix in (PREFIX, V1))]


def _precedence(item: tuple[str, list[Operation]]) -> tuple[int, int]:
    """Paths with verbs and fixed words before those that would take them for names."""
    path = item[0]
    return path.count("{"), -len(path)


def operations(endpoints: Endpoints, *, multi_user: bool) -> list[Operation]:
    """The table."""
    of = Subjects(endpoints.records, multi_user=multi_user)
    return [
        *operations_of_runs.runs(endpoints.runs, of),
        *operations_of_runs.tasks(endpoints.tasks, of),
        *operations_of_catalog.pipelines(endpoints.pipelines, of),
        *operations_of_catalog.versions(endpoints.pipelines, of),
        *operations_of_catalog.experiments(endpoints.experiments, of),
        *operations_of_catalog.recurring(endpoints.recurring, of),
        *operations_of_runs.artifacts(endpoints.artifacts, of),
        *operations_of_runs.metrics(endpoints.metrics, of),
        *operations_of_runs.portables(endpoints.portables, of),
        *operations_of_runs.cache(endpoints.cache, of),
        *operations_of_runs.reports(),
    ]
