"""REST: the tasks of runs, how they change, their logs, and what older paths call nodes."""

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from kedge.client.types import Reader
from kedge.errors import BadRequest, Forbidden, NotFound, TooLarge
from kedge.kube.clock import SystemClock, parse_timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines import answers, observations, reasons, shapes, usage
from kedge.pipelines.archive import LogArchive
from kedge.pipelines.controller import RunController
from kedge.pipelines.engine.types import Kind, State, Task
from kedge.pipelines.history import History
from kedge.pipelines.observations import MAIN
from kedge.pipelines.operations import Call
from kedge.pipelines.pod_events import PodEvents
from kedge.pipelines.ports import Ahead, Artifacts, StepLogs
from kedge.pipelines.records import Attempt, RunRecord
from kedge.pipelines.rest_runs import known_run
from kedge.pipelines.spec import Pipeline
from kedge.pipelines.steps import pod_name
from kedge.server.logs import LogOptions

# Seconds in which changes come together: a line for each at once would cost a short step a tenth of its time. Nothing waits at a
# run's end.
_GATHER = 0.03
_SLICE = 200
_LOOK_AGAIN = 0.2
_LOOK_AGAIN_AT_PODS = 1.0
_MOST_EXPLAINED = 200
_READ_LIMIT = 64 << 20  # of an artifact that is answered as JSON
_line = msgspec.json.Encoder().encode


class Tasks:
    """The endpoints of tasks.

    Args:
        controller: Knows what runs.
        history: Knows them all.
        artifacts: Where artifacts lie.
        pods: Where a step's Pod is looked up for its log, what reads that, and how many wait before one on its node.
        events: What was said of Pods.
        archive: Keeps the logs of steps whose Pods are gone.
    """

    def __init__(
        self,
        controller: RunController,
        history: History,
        artifacts: Artifacts,
        *,
        pods: tuple[Reader, StepLogs | None, Ahead],
        events: PodEvents,
        archive: LogArchive,
    ) -> None:
        self._controller = controller
        self._history = history
        self._artifacts = artifacts
        self._reader, self._logs, self._ahead = pods
        self._events = events
        self._archive = archive
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream."""
        self._closing.set()

    def _record(self, call: Call) -> RunRecord:
        return known_run(self._controller, self._history, call.path["run_id"])

    # ---- tasks

    async def tasks(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks``: all of them, or those right below ``parent_id``; a page where one is asked for.

        With ``watch=true`` one JSON a line, for each change, until the run is over.
        """
        record = self._record(call)
        is_page = any(call.text(name) for name in ("page_size", "page_token", "sort_by", "filter"))
        if (view := call.text("view")) and (view != "BASIC" or is_page or call.flag("watch") or "parent_id" in call.query):
            raise BadRequest(f"view: must be BASIC, and is for all tasks of a run, not for some or a watch; got {view!r:.80}.")
        if call.flag("watch"):
            return StreamingResponse(self._watch(record), media_type="application/json-seq")
        if is_page:
            return self._page(call, record)
        attempts: dict[str, list[Attempt]] = {}
        for attempt in sorted(self._history.attempts(record.id), key=lambda attempt: attempt.number):
            attempts.setdefault(attempt.task, []).append(attempt)
        rows = sorted(self._history.tasks(record.id), key=lambda task: (task.created_at, task.id))
        if view:
            return answers.answer({"tasks": self._in_short(record, rows, attempts)})
        pipeline, children = self._controller.pipeline(record), shapes.by_parent(rows)
        if "parent_id" in call.query:
            rows = children.get(call.text("parent_id"), [])
        shown = [self._shown(record, row, attempts.get(row.id), pipeline, children) for row in rows]
        return answers.answer({"tasks": shown})

    def _in_short(self, record: RunRecord, rows: list[Task], attempts: Mapping[str, list[Attempt]]) -> list[dict[str, Any]]:
        pipeline = self._controller.pipeline(record)
        return [
            shapes.task_in_short(row, attempts.get(row.id, ()), pipeline=pipeline) | _because(self._reason(record, row))
            for row in rows
        ]

    def _page(self, call: Call, record: RunRecord) -> Response:
        above = call.text("parent_id") if "parent_id" in call.query else None
        page = self._history.list_tasks(call.listing, record.id, parent=above)
        pipeline = self._controller.pipeline(record)
        children = shapes.by_parent(self._history.children(record.id, [row.id for row in page.items]))
        shown = [self._shown(record, row, self._history.attempts(record.id, row.id), pipeline, children) for row in page.items]
        return answers.listed("tasks", shown, page)

    async def task(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}``."""
        record = self._record(call)
        row = self._task(record, call.path["task_id"])
        attempts, events = self._history.attempts(record.id, row.id), self._events.of(record.id, row.id)
        pipeline, children = self._controller.pipeline(record), self._history.children(record.id, [row.id])
        shown = shapes.task(row, record.id, attempts, events, pipeline=pipeline, children=children)
        if not self._archive.measured:
            for used in (each["resources"] for each in shown.get("attempts", ()) if "resources" in each):
                used["source"] = usage.SOURCE
        return answers.answer(shown | _because(self._reason(record, row)))

    async def pod(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}/pod``: what a step's newest attempt was given, also when its Pod is gone."""
        record = self._record(call)
        row = self._task(record, call.path["task_id"])
        if row.kind is not Kind.STEP:
            raise BadRequest(f"task {row.id!r} is a {row.kind.value}: only steps have Pods.")
        if row.inputs is None:
            raise NotFound(f"step {row.id!r} is {row.state.value.lower()} and was given no inputs. Choose one that has started.")
        steps = self._controller.steps(record)
        plan = steps.plan(row.component, row.executor)
        given = steps.executor_input(plan, row.id, row.attempt, row.inputs)
        return answers.answer({"executor_input": given, "pod": steps.pod(plan, row.id, row.attempt, row.inputs)})

    async def events(self, call: Call) -> Response:
        """``GET /runs/{run_id}/events``, of one task with ``task_id``."""
        record = self._record(call)
        task_id = self._task(record, call.text("task_id")).id if "task_id" in call.query else None
        page = self._events.page(record.id, call.number("page_size") or 0, call.text("page_token"), task_id=task_id)
        return answers.listed("events", [shapes.pod_event(event) for event in page.items], page)

    def _shown(
        self,
        record: RunRecord,
        row: Task,
        attempts: list[Attempt] | None,
        pipeline: Pipeline | None,
        children: Mapping[str, list[Task]],
    ) -> dict[str, Any]:
        made = shapes.task(row, record.id, attempts, pipeline=pipeline, children=children.get(row.id, ()))
        return made | _because(self._reason(record, row))

    def _reason(self, record: RunRecord, row: Task) -> str:
        """Why a task does not run yet, or is about to be lost."""
        if row.state.finished:
            return ""
        pod = self._controller.pod(record.namespace, pod_name(record, row.id, row.attempt))
        uid = str(pod["metadata"].get("uid", "")) if pod is not None else ""
        worker = self._controller.worker(record.id) if pod is None else None
        refusal = worker.why(row.id) if worker is not None else ""
        around = reasons.Around(self._controller.has_room, self._ahead(uid), self._events.warning(uid), refusal)
        return reasons.of(row, pod, around)

    def _task(self, record: RunRecord, task_id: str) -> Task:
        row = self._history.task(record.id, task_id)
        if row is None:
            known = sorted(task.id for task in self._history.tasks(record.id) if task.kind is Kind.STEP)
            few = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
            raise NotFound(f"run {record.id} has no task {task_id!r}. Its steps: {few or 'none yet'}.")
        return row

    async def _watch(self, watched: RunRecord) -> AsyncGenerator[bytes]:
        """Every task as it is, then each change, then the run."""
        run_id, pipeline = watched.id, self._controller.pipeline(watched)
        changed: dict[str, Task] = {}
        reasons: dict[str, str] = {}
        wake, over = asyncio.Event(), asyncio.Event()

        def listen(tasks: Iterable[Task]) -> None:
            changed.update((task.id, task) for task in tasks)
            wake.set()
            if self._controller.live(run_id) is None:
                over.set()

        live = self._controller.live(run_id)
        listeners = live.listeners if live is not None else []
        listeners.append(listen)
        closing = asyncio.ensure_future(self._closing.wait())
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        try:
            rows: Iterable[Task] = live.engine.tasks.values() if live is not None else self._history.tasks(run_id)
            changed.update((task.id, task) for task in rows)
            while True:
                if loop.time() >= look_at:
                    changed.update(self._explained(run_id, reasons))
                    look_at = loop.time() + _LOOK_AGAIN_AT_PODS
                while changed:
                    some = [changed.pop(key) for key in list(changed)[:_SLICE]]
                    bodies = [shapes.task(task, run_id, pipeline=pipeline) | _because(_said(task, reasons)) for task in some]
                    yield b"".join(_line(body) + b"\n" for body in bodies)
                if self._controller.live(run_id) is None:
                    break
                wake.clear()
                waiting = asyncio.ensure_future(wake.wait())
                rest = max(0.0, look_at - loop.time())
                try:
                    await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED, timeout=rest)
                finally:  # who looked on may have gone meanwhile
                    waiting.cancel()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), _GATHER)
                if closing.done():
                    return
            record = self._history.run(run_id)
            yield _line({"run": shapes.run(record) if record is not None else {"run_id": run_id, "state": "CANCELED"}}) + b"\n"
        finally:
            closing.cancel()
            listeners.remove(listen)

    def _explained(self, run_id: str, reasons: dict[str, str]) -> dict[str, Task]:
        """Steps that wait for another reason than was told: their Pods change, and they do not.

        Args:
            run_id: The run.
            reasons: What was told of each step that waited when this was last called; brought up to date. A step that waits only
                since then has no reason yet: most are about to start.

        Returns:
            The steps by id.
        """
        live = self._controller.live(run_id)
        before, found = dict(reasons), dict[str, Task]()
        reasons.clear()
        if live is None:
            return found
        for task_id, _ in itertools.islice(live.attempts, _MOST_EXPLAINED):
            task = live.engine.tasks[task_id]
            reasons[task_id] = self._reason(live.record, task) if task_id in before else ""
            if reasons[task_id] != before.get(task_id, ""):
                found[task_id] = task
        return found

    # ---- logs

    async def log(self, call: Call) -> Response:
        """``GET /runs/{run_id}/tasks/{task_id}/logs``; with ``follow`` and without ``attempt`` it goes on into retries."""
        record = self._record(call)
        return await self._log(call, record, self._task(record, call.path["task_id"]), call.number("attempt"))

    async def node_log(self, call: Call) -> Response:
        """``GET /apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log``, as KFP's own pages ask; a node is a Pod's name or a task."""
        record = self._record(call)
        task, number = self._node(record, call.path["node_id"])
        return await self._log(call, record, task, number)

    async def node_artifact(self, call: Call) -> Response:
        """``GET /runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read``, an output in base64."""
        record = self._record(call)
        task, _ = self._node(record, call.path["node_id"])
        made = task.outputs.artifacts if task.outputs is not None else {}
        name = call.path["artifact_name"]
        if not made.get(name):
            raise NotFound(f"task {task.id!r} has no output artifact {name!r}. It has: {', '.join(sorted(made)) or 'none'}.")
        if fault := self._artifacts.place_fault(made[name][0].uri, record.namespace):
            raise Forbidden(f"artifact {name!r}: {fault}.")
        content = bytearray()
        async for piece in self._artifacts.read(made[name][0].uri):
            content += piece
            if len(content) > _READ_LIMIT:
                raise TooLarge(
                    f"artifact {name!r} is over {_READ_LIMIT >> 20} MiB: GET /artifacts/{made[name][0].id}/content streams it."
                )
        return answers.answer({"data": base64.b64encode(content).decode()} if content else {})

    def _node(self, record: RunRecord, node: str) -> tuple[Task, int | None]:
        """The task, and perhaps the attempt, that KFP's older paths call a node."""
        for attempt in self._history.attempts(record.id):
            if attempt.pod_name == node:
                return self._task(record, attempt.task), attempt.number
        return self._task(record, node), None

    async def _log(self, call: Call, record: RunRecord, task: Task, number: int | None) -> Response:
        if self._logs is None:
            raise NotFound("this host keeps no logs.")
        if task.kind is not Kind.STEP:
            raise BadRequest(f"task {task.id!r} is a {task.kind.value}: only steps write logs.")
        if task.state is State.CACHED:
            raise NotFound(f"step {task.id!r} did not run here: its outputs are those of {task.cached_from}.")
        follow = call.flag("follow")
        if number is not None and number < 0:
            raise BadRequest(f"attempt: must be a whole number from 0, got {number}.")
        options, container = _options(call), call.text("container") or MAIN
        shown = -1
        # Errors come before the first piece, while there can still be a status code.
        try:
            shown, pieces = await self._open(record, task, number, container, options)
        except (NotFound, BadRequest):
            attempts = self._history.attempts(record.id, task.id)
            if not follow or number is not None or not attempts or self._state(record, task).finished:
                raise
            shown, pieces = max(one.number for one in attempts), _nothing()  # it left no log; the next one will
        if follow and number is None:
            pieces = self._with_retries(record, task, (shown, pieces), container, replace(options, tail=None))
        return StreamingResponse(self._until_closed(pieces), media_type="text/plain; charset=utf-8")

    async def _open(
        self, record: RunRecord, task: Task, number: int | None, container: str, options: LogOptions
    ) -> tuple[int, AsyncGenerator[bytes]]:
        """The number of the attempt that is shown, and its log: of its Pod, or what is kept of it.

        Raises:
            NotFound: There is none.
            BadRequest: It has not begun, or has no such container.
        """
        assert self._logs is not None  # noqa: S101  # asked before
        try:
            attempt, pod = await self._pod(record, task, number, follow=options.follow)
            pieces = self._logs.read(pod, container, options)
            first = await anext(aiter(pieces), b"")
        except (NotFound, BadRequest) as gone:  # with the Pod, or with its directory
            attempts = [a.number for a in self._history.attempts(record.id, task.id) if number is None or a.number == number]
            if not attempts or container != MAIN:
                raise
            attempt = max(attempts)
            pieces = self._archive.read(record, task.id, attempt, options)
            try:
                first = await anext(aiter(pieces), b"")
            except NotFound:
                raise gone from None
        return attempt, _after(first, pieces)

    async def _with_retries(
        self, record: RunRecord, task: Task, opened: tuple[int, AsyncGenerator[bytes]], container: str, options: LogOptions
    ) -> AsyncGenerator[bytes]:
        """The log of an attempt, and of each that comes after it when it has begun, until the task is over."""
        shown, pieces = opened
        async for piece in pieces:
            yield piece
        while not self._closing.is_set():
            over = self._state(record, task).finished  # asked first: then no further attempt comes
            later = [one.number for one in self._history.attempts(record.id, task.id) if one.number > shown]
            if later:
                shown = min(later)
                with contextlib.suppress(NotFound, BadRequest):  # one that left no log
                    _, pieces = await self._open(record, task, shown, container, options)
                    async for piece in pieces:
                        yield piece
            elif over:
                return
            else:
                await asyncio.sleep(_LOOK_AGAIN)

    def _state(self, record: RunRecord, task: Task) -> State:
        return (self._history.task(record.id, task.id) or task).state

    async def _pod(self, record: RunRecord, task: Task, number: int | None, *, follow: bool) -> tuple[int, Obj]:
        """Number and Pod of an attempt; with ``follow``, once it has started."""
        while True:
            attempts = self._history.attempts(record.id, task.id)
            chosen = next((a for a in reversed(attempts) if number is None or a.number == number), None)
            if chosen is None and number is not None and number < len(attempts):
                raise NotFound(f"step {task.id!r} has no attempt {number}.")
            begun = chosen is not None and (chosen.started_at is not None or chosen.state.finished)
            if chosen is not None and (begun or not follow):
                gone = NotFound(f"the log of step {task.id!r}, attempt {chosen.number}, is gone with its Pod {chosen.pod_name}.")
                try:
                    pod = await self._reader.get(POD, chosen.pod_name, record.namespace)
                except NotFound:
                    raise gone from None
                found = observations.reference(pod)
                if found is None or found.run != record.id:  # a run that came as a file may name any Pod
                    raise gone
                return chosen.number, pod
            current = self._history.task(record.id, task.id) or task
            if current.state.finished or not follow or self._closing.is_set():
                raise NotFound(f"step {task.id!r} has not run: it is {current.state.value.lower()}.")
            await asyncio.sleep(_LOOK_AGAIN)

    async def _until_closed(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while True:
                piece = asyncio.ensure_future(anext(pieces, None))
                try:
                    await asyncio.wait({piece, closing}, return_when=asyncio.FIRST_COMPLETED)
                finally:  # who reads may have gone meanwhile
                    piece.cancel()
                if not piece.done():
                    return
                if (found := piece.result()) is None:
                    return
                yield found
        finally:
            closing.cancel()


def _said(task: Task, reasons: Mapping[str, str]) -> str:
    return "" if task.state.finished else reasons.get(task.id, "")


def _options(call: Call) -> LogOptions:
    """What part of a log is asked for, in Kubernetes' words as KFP writes words.

    Raises:
        BadRequest: A value cannot be read.
    """
    since, seconds, tail = call.text("since_time"), call.number("since_seconds"), call.number("tail_lines")
    if since and seconds is not None:
        raise BadRequest("since_time, since_seconds: give one of them, not both.")
    if (seconds is not None and seconds < 1) or (tail is not None and tail < 0):
        raise BadRequest("since_seconds, tail_lines: must be whole numbers from 1, and from 0.")
    try:
        moment = parse_timestamp(since) if since else None
    except ValueError as error:
        raise BadRequest(f"since_time: must be an RFC 3339 time, got {since!r}.") from error
    if seconds is not None:
        moment = SystemClock().now() - timedelta(seconds=min(seconds, 10**9))
    return LogOptions(follow=call.flag("follow"), timestamps=call.flag("timestamps"), since=moment, tail=tail)


async def _after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece


async def _nothing() -> AsyncGenerator[bytes]:
    for piece in ():
        yield piece


def _because(reason: str) -> dict[str, str]:
    # The second is KFP 3.0's word for it.
    return {"waiting_reason": reason, "lifecycle_message": reason} if reason else {}
