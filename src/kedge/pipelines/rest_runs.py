"""REST: runs, their tasks and their logs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kedge.client.types import Reader
from kedge.errors import BadRequest, NotFound
from kedge.kube import names
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines import answers, documents, ir, shapes
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.controller import RunController
from kedge.pipelines.engine.types import Kind, State, Task
from kedge.pipelines.history import History
from kedge.pipelines.observations import MAIN
from kedge.pipelines.ports import Artifacts, StepLogs
from kedge.pipelines.records import Attempt, RunRecord, Spec
from kedge.pipelines.spec import Pipeline
from kedge.server.logs import LogOptions

DEFAULT_NAMESPACE = "default"
# Above this, reading a pipeline takes long enough for others to notice: it is done on a thread.
_LARGE = 256 << 10
_SLICE = 200
_LOOK_AGAIN = 0.2
_line = msgspec.json.Encoder().encode


class VersionReference(msgspec.Struct, forbid_unknown_fields=True):
    """Which stored pipeline; the newest version when none is named."""

    pipeline_id: str
    pipeline_version_id: str = ""


class RuntimeConfig(msgspec.Struct, forbid_unknown_fields=True):
    """With which arguments."""

    parameters: dict[str, Any] = {}
    pipeline_root: str = ""


class CreateRun(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /runs``."""

    pipeline_spec: dict[str, Any] | None = None
    pipeline_version_reference: VersionReference | None = None
    runtime_config: RuntimeConfig | None = None
    display_name: str = ""
    description: str = ""
    experiment_id: str = ""
    service_account: str = ""


class Runs:
    """The endpoints of runs.

    Args:
        controller: Begins and ends runs.
        history: Knows them all.
        catalog: Stored pipelines and experiments.
        registrar: Reads pipelines.
        artifacts: Says whether a pipeline root can be used.
        pods: Where a step's Pod is looked up for its log, and what reads that.
    """

    def __init__(
        self,
        controller: RunController,
        history: History,
        *,
        catalog: Catalog,
        registrar: Registrar,
        artifacts: Artifacts,
        pods: tuple[Reader, StepLogs | None],
    ) -> None:
        self._controller = controller
        self._history = history
        self._catalog = catalog
        self._registrar = registrar
        self._artifacts = artifacts
        self._reader, self._logs = pods
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream."""
        self._closing.set()

    # ---- runs

    async def create(self, request: Request) -> Response:
        """``POST /runs``."""
        found = answers.query(request, "experiment_id", "cache", "namespace")
        body = await answers.content(request)
        asked, spec, pipeline = await _aside(len(body), self._read, body)
        reference = asked.pipeline_version_reference
        version = None
        if spec is None or pipeline is None:
            if reference is None:
                raise BadRequest("a run: pipeline_spec or pipeline_version_reference is required: what shall it run?")
            version = self._catalog.version(reference.pipeline_id, reference.pipeline_version_id)
            spec = self._history.spec(version.spec_digest)
            if spec is None:
                raise NotFound(f"pipeline version {version.id!r} has lost its pipeline. Upload it again.")
            pipeline = self._registrar.pipeline(spec)
        else:
            self._registrar.remember(spec, pipeline)
        config = asked.runtime_config or RuntimeConfig()
        ir.check_parameters(pipeline, config.parameters)
        root = config.pipeline_root or pipeline.spec.default_pipeline_root
        if root:
            await self._artifacts.check_root(root)
        experiment = asked.experiment_id or found.get("experiment_id", "")
        if experiment:
            self._catalog.experiment(experiment)
        fields: dict[str, object] = {
            "displayName": asked.display_name,
            "description": asked.description,
            "experimentId": experiment,
            "parameters": config.parameters,
            "pipelineRoot": config.pipeline_root,
            "serviceAccountName": asked.service_account,
            "pipelineId": version.pipeline_id if version else None,
            "pipelineVersionId": version.id if version else None,
            "cache": None if answers.flag(found, "cache", default=True) else False,
        }
        record = await self._controller.submit(spec, fields, found.get("namespace") or DEFAULT_NAMESPACE, _run_name(spec.name))
        return answers.answer(shapes.run(record))

    def _read(self, body: bytes) -> tuple[CreateRun, Spec | None, Pipeline | None]:
        asked = answers.decode(body, CreateRun, "a run")
        if asked.pipeline_spec is None:
            return asked, None, None
        document = documents.document(asked.pipeline_spec, "pipeline_spec")
        spec = Spec.of(document.pipeline, document.platforms)
        return asked, spec, self._registrar.read(spec)

    async def list(self, request: Request) -> Response:
        """``GET /runs``."""
        found = answers.query(request, *answers.LISTING, "namespace", "experiment_id", "view")
        page = self._history.list_runs(
            answers.listing(found), namespace=found.get("namespace", ""), experiment_id=found.get("experiment_id", "")
        )
        return answers.listed("runs", [shapes.run(record) for record in page.items], page)

    async def get(self, request: Request) -> Response:
        """``GET /runs/{run_id}``."""
        answers.query(request, "experiment_id", "view")
        record = self._record(request)
        return answers.answer(shapes.run(record, None if record.pipeline_version_id else self._history.spec(record.spec_digest)))

    async def act(self, request: Request) -> Response:
        """``POST /runs/{run_id}:terminate``, ``:archive``, ``:unarchive``."""
        run_id, _, verb = request.path_params["run_and_verb"].rpartition(":")
        if verb == "terminate":
            await self._controller.cancel(run_id, "The run was cancelled.")
        elif verb in {"archive", "unarchive"}:
            if not self._history.set_storage_state(run_id, "ARCHIVED" if verb == "archive" else "AVAILABLE"):
                raise _no_run(run_id)
        else:
            raise NotFound(f"there is no verb {verb!r} on runs; there are terminate, archive and unarchive.")
        return answers.answer({})

    async def delete(self, request: Request) -> Response:
        """``DELETE /runs/{run_id}``."""
        answers.query(request, "experiment_id")
        await self._controller.delete(request.path_params["run_id"])
        return answers.answer({})

    def _record(self, request: Request) -> RunRecord:
        run_id = request.path_params["run_id"]
        live = self._controller.live(run_id)
        record = live.record if live is not None else self._history.run(run_id)
        if record is None:
            raise _no_run(run_id)
        return record

    # ---- tasks

    async def tasks(self, request: Request) -> Response:
        """``GET /runs/{run_id}/tasks``; with ``watch=true`` one JSON a line, for each change, until the run is over."""
        found = answers.query(request, "watch")
        record = self._record(request)
        if answers.flag(found, "watch"):
            return StreamingResponse(self._watch(record.id), media_type="application/json-seq")
        attempts: dict[str, list[Attempt]] = {}
        for attempt in sorted(self._history.attempts(record.id), key=lambda attempt: attempt.number):
            attempts.setdefault(attempt.task, []).append(attempt)
        rows = sorted(self._history.tasks(record.id), key=lambda task: (task.created_at, task.id))
        return answers.answer({"tasks": [shapes.task(row, record.id, attempts.get(row.id)) for row in rows]})

    async def task(self, request: Request) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}``."""
        record = self._record(request)
        row = self._task(record, request.path_params["task_id"])
        return answers.answer(shapes.task(row, record.id, self._history.attempts(record.id, row.id)))

    def _task(self, record: RunRecord, task_id: str) -> Task:
        row = self._history.task(record.id, task_id)
        if row is None:
            known = sorted(task.id for task in self._history.tasks(record.id) if task.kind is Kind.STEP)
            few = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise NotFound(f"run {record.id} has no task {task_id!r}. Its steps: {few or 'none yet'}.")
        return row

    async def _watch(self, run_id: str) -> AsyncGenerator[bytes]:
        """Every task as it is, then each change, then the run."""
        changed: dict[str, Task] = {}
        wake = asyncio.Event()

        def listen(tasks: Iterable[Task]) -> None:
            changed.update((task.id, task) for task in tasks)
            wake.set()

        live = self._controller.live(run_id)
        listeners = live.listeners if live is not None else []
        listeners.append(listen)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            rows: Iterable[Task] = live.engine.tasks.values() if live is not None else self._history.tasks(run_id)
            changed.update((task.id, task) for task in rows)
            while True:
                while changed:
                    some = [changed.pop(key) for key in list(changed)[:_SLICE]]
                    yield b"".join(_line(shapes.task(task, run_id)) + b"\n" for task in some)
                if self._controller.live(run_id) is None:
                    break
                wake.clear()
                waiting = asyncio.ensure_future(wake.wait())
                await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if closing.done():
                    return
            record = self._history.run(run_id)
            yield _line({"run": shapes.run(record) if record is not None else {"run_id": run_id, "state": "CANCELED"}}) + b"\n"
        finally:
            closing.cancel()
            listeners.remove(listen)

    # ---- logs

    async def log(self, request: Request) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}/logs``, with ``follow`` and ``attempt``."""
        found = answers.query(request, "follow", "attempt", "timestamps", "container")
        record = self._record(request)
        task = self._task(record, request.path_params["task_id"])
        if self._logs is None:
            raise NotFound("this host keeps no logs.")
        if task.kind is not Kind.STEP:
            raise BadRequest(f"task {task.id!r} is a {task.kind.value}: only steps write logs.")
        if task.state is State.CACHED:
            raise NotFound(f"step {task.id!r} did not run here: its outputs are those of {task.cached_from}.")
        follow = answers.flag(found, "follow")
        number = _attempt_number(found)
        pod = await self._pod(record, task, number, follow=follow)
        options = LogOptions(follow=follow, timestamps=answers.flag(found, "timestamps"))
        pieces = self._logs.read(pod, found.get("container") or MAIN, options)
        first = await anext(aiter(pieces), b"")  # errors come before the first piece, while there can still be a status code
        return StreamingResponse(self._until_closed(first, pieces), media_type="text/plain; charset=utf-8")

    async def _pod(self, record: RunRecord, task: Task, number: int | None, *, follow: bool) -> Obj:
        """The Pod of an attempt; with ``follow``, once it has started."""
        while True:
            attempts = self._history.attempts(record.id, task.id)
            chosen = next((a for a in reversed(attempts) if number is None or a.number == number), None)
            if chosen is None and number is not None and number < len(attempts):
                raise NotFound(f"step {task.id!r} has no attempt {number}.")
            begun = chosen is not None and (chosen.started_at is not None or chosen.state.finished)
            if chosen is not None and (begun or not follow):
                try:
                    return await self._reader.get(POD, chosen.pod_name, record.namespace)
                except NotFound:
                    raise NotFound(
                        f"the log of step {task.id!r}, attempt {chosen.number}, is gone with its Pod {chosen.pod_name}."
                    ) from None
            current = self._history.task(record.id, task.id) or task
            if current.state.finished or not follow or self._closing.is_set():
                raise NotFound(f"step {task.id!r} has not run: it is {current.state.value.lower()}.")
            await asyncio.sleep(_LOOK_AGAIN)

    async def _until_closed(self, first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        if first:
            yield first
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while True:
                piece = asyncio.ensure_future(anext(pieces, None))
                await asyncio.wait({piece, closing}, return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    return
                if (found := piece.result()) is None:
                    return
                yield found
        finally:
            closing.cancel()


async def _aside(size: int, work: Any, *arguments: Any) -> Any:
    """Do something here, or on a thread when it is large."""
    return work(*arguments) if size < _LARGE else await asyncio.to_thread(work, *arguments)


def _attempt_number(found: dict[str, str]) -> int | None:
    text = found.get("attempt", "")
    if not text:
        return None
    if not text.isdecimal():
        raise BadRequest(f"attempt: must be a whole number from 0, got {text!r}.")
    return int(text)


def _run_name(pipeline: str) -> str:
    return names.slug(pipeline)[:40].strip("-")


def _no_run(run_id: str) -> NotFound:
    return NotFound(f"run {run_id!r} not found. GET /apis/v2beta1/runs lists those that exist.")
