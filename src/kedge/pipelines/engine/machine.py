"""The engine: one run as a state machine.

    engine = Engine(pipeline, run)                # or Engine(pipeline, run, stored_rows) after a restart
    step = engine.handle(RunStarted(now))         # what changed, and what to do

Rules of the machine:

- **Order.** A task is ready when every task it waits for, by ``dependentTasks`` or through an input, is over. If one of them did
  not succeed, it is SKIPPED, unless its trigger strategy is ``ALL_UPSTREAM_TASKS_COMPLETED``. A false condition means SKIPPED as
  well. Skipped is not failed.
- **Failure.** A failed task fails the DAGs around it, once all their other tasks are over: independent branches go on. Each
  DAG keeps the failure that came first.
- **Retries.** The user's failures and the infrastructure's are counted apart; each try has a number of its own.
- **Cancelling** ends every live task at once and starts none, exit tasks included.
- **Cost.** An event costs time in proportion to what it makes ready: scopes count what is awaited, nothing is searched.
- **Rebuilding.** Everything the machine knows is in the rows, so it can be rebuilt from them after any event; `Resumed` then gives
  the instructions again that may have been lost.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from msgspec.structs import replace

from kedge.errors import PipelineError
from kedge.pipelines import ir
from kedge.pipelines.engine import cache, cel, outputs, placeholders, values
from kedge.pipelines.engine.graph import Graph, Node, graph
from kedge.pipelines.engine.inputs import InputError, NotProducedError, Resolver
from kedge.pipelines.engine.scopes import Loop, Scope, items_of
from kedge.pipelines.engine.types import (
    Artifact,
    CacheAnswered,
    CancelRequested,
    Event,
    Failure,
    FinishRun,
    ImportArtifact,
    Instruction,
    Kind,
    LookupCache,
    Resumed,
    RunInfo,
    RunStarted,
    StartStep,
    State,
    Step,
    StepCommitted,
    StepFailed,
    StepStarted,
    StopStep,
    Task,
    TimerFired,
    Values,
    Waiting,
    WakeAt,
)
from kedge.pipelines.spec import Pipeline

_Handler: TypeAlias = Callable[["Engine", Any], None]

# After failures of the infrastructure: 1, 2, 4… seconds, at most 30.
_INFRA_BACKOFF = 1.0
_INFRA_BACKOFF_MAX = 30.0
_STARTED = frozenset({Waiting.START, None})


class Engine:
    """One run.

    Args:
        pipeline: What to run; shared between runs.
        run: Facts and arguments of this run.
        tasks: All its stored rows, in any order; none for a new run.

    Attributes:
        tasks: The newest version of every row, by id.
    """

    def __init__(self, pipeline: Pipeline, run: RunInfo, tasks: Iterable[Task] = ()) -> None:
        self.tasks: dict[str, Task] = {task.id: task for task in tasks}
        self._pipeline = pipeline
        self._run = run
        self._scopes: dict[str, Scope] = {}
        self._loops: dict[str, Loop] = {}
        # Steps and importers between ready and over, in the order in which they became so.
        self._live: dict[str, None] = {}
        self._canceling: Failure | None = None
        self._now = run.created_at
        self._changed: dict[str, Task] = {}
        self._instructions: list[Instruction] = []
        self._ready: deque[tuple[Scope, Node]] = deque()
        self._over: deque[Task] = deque()
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        root = self.tasks.get("")
        return root is not None and root.state.finished

    def handle(self, event: Event) -> Step:
        """Take in what has happened.

        An event that says nothing new (a task that is over, an attempt that is not the current one) changes nothing.
        """
        self._now: datetime = event.now
        _HANDLERS[type(event)](self, event)
        self._settle()
        step = Step(tuple(self._changed.values()), tuple(self._instructions))
        self._changed.clear()
        self._instructions.clear()
        return step

    # ---- events

    def _run_started(self, event: RunStarted) -> None:
        if "" in self.tasks:
            return
        root = Task(id="", name="", parent=None, kind=Kind.DAG, state=State.RUNNING, created_at=event.now, started_at=event.now)
        try:
            given = Values(ir.check_parameters(self._pipeline, self._run.parameters))
        except PipelineError as error:
            self._finish(root, State.FAILED, failure=Failure("user", "ParametersInvalid", str(error)))
            return
        self._open_dag(replace(root, inputs=given), given)

    def _cache_answered(self, event: CacheAnswered) -> None:
        task = self.tasks.get(event.task)
        if task is None or task.waiting is not Waiting.CACHE:
            return
        component = self._pipeline.component(task.component)
        if event.outputs is not None:
            try:
                found = outputs.conform(component, event.outputs)
            except outputs.OutputError:
                pass  # kept by a version that declared its outputs differently: not usable
            else:
                self._finish(replace(task, cached_from=event.cached_from), State.CACHED, outputs=found)
                return
        self._start(task)

    def _step_started(self, event: StepStarted) -> None:
        task = self._current(event.task, event.attempt)
        if task is not None and task.state is State.PENDING:
            self._put(replace(task, state=State.RUNNING, waiting=None, started_at=event.now))

    def _step_committed(self, event: StepCommitted) -> None:
        task = self._current(event.task, event.attempt)
        if task is None:
            return
        try:
            made = outputs.conform(self._pipeline.component(task.component), event.outputs)
        except outputs.OutputError as error:
            self._failed(task, Failure("user", "OutputInvalid", str(error)))
        else:
            self._finish(task, State.SUCCEEDED, outputs=made)

    def _step_failed(self, event: StepFailed) -> None:
        task = self._current(event.task, event.attempt)
        if task is not None:
            self._failed(task, event.failure)

    def _timer_fired(self, event: TimerFired) -> None:
        task = self.tasks.get(event.task)
        if task is None or task.waiting is not Waiting.RETRY or task.retry_at is None:
            return
        if event.now < task.retry_at:
            self._instructions.append(WakeAt(task.id, task.retry_at))
        else:
            self._start(task)

    def _cancel_requested(self, event: CancelRequested) -> None:
        root = self.tasks.get("")
        if root is None:
            root = Task(id="", name="", parent=None, kind=Kind.DAG, created_at=event.now)
        if root.state.finished:
            return
        failure = Failure("canceled", "RunCanceled", event.reason or "the run was canceled")
        if "" not in self.tasks:
            self._finish(root, State.CANCELED, failure=failure)
            return
        self._canceling = failure
        self._put(replace(root, failure=failure))
        for name in list(self._live):
            task = self.tasks[name]
            if task.waiting in _STARTED:
                self._instructions.append(StopStep(task.id, task.attempt))
            self._finish(task, State.CANCELED, failure=failure)

    def _resumed(self, event: Resumed) -> None:
        if "" not in self.tasks:
            self._run_started(RunStarted(event.now))
        elif self.finished:
            for task in self.tasks.values():
                if task.state is State.CANCELED and task.kind in (Kind.STEP, Kind.IMPORTER) and task.inputs is not None:
                    self._instructions.append(StopStep(task.id, task.attempt))
            self._instructions.append(self._end())
        else:
            for name in self._live:
                self._owe(self.tasks[name])

    # ---- steps

    def _current(self, name: str, attempt: int) -> Task | None:
        """The task, if this attempt of it is the one that runs."""
        task = self.tasks.get(name)
        if task is None or name not in self._live or task.attempt != attempt or task.waiting not in _STARTED:
            return None
        return task

    def _begin(self, task: Task, node: Node, inputs: Values) -> None:
        """Begin a task (or one iteration of it) whose inputs are known."""
        if node.inner is Kind.DAG:
            own = inputs if task.iteration is None else task.inputs
            self._open_dag(replace(task, state=State.RUNNING, waiting=None, inputs=own, started_at=self._now), inputs)
            return
        self._live[task.id] = None
        task = replace(task, inputs=inputs)
        options = node.spec.caching_options
        if node.inner is Kind.STEP and options.enable_cache and self._run.cache:
            if options.cache_key:
                key = cache.custom_key(node.component_name, node.component, options.cache_key)
            else:
                key = cache.key(node.static_digest, inputs, self._run.project_digest)
            self._put(replace(task, cache_key=key, waiting=Waiting.CACHE))
            self._instructions.append(LookupCache(task.id, key))
        else:
            self._start(task)

    def _start(self, task: Task) -> None:
        """Start the current attempt."""
        task = replace(task, state=State.PENDING, waiting=Waiting.START, retry_at=None, started_at=None)
        try:
            instruction = self._instruction(task)
        except (placeholders.PlaceholderError, values.MismatchError) as error:
            self._finish(task, State.FAILED, failure=Failure("user", "InputInvalid", str(error)))
            return
        self._put(task)
        self._instructions.append(instruction)

    def _instruction(self, task: Task) -> Instruction:
        inputs = task.inputs or Values()
        if task.kind is Kind.STEP:
            return StartStep(task.id, task.attempt, task.component, task.executor, inputs)
        importer = self._pipeline.executors[task.executor].importer
        assert importer is not None  # noqa: S101  # the kind says so
        source = importer.artifact_uri
        known = placeholders.facts(self._run, task.id)
        uri: Any = source.constant
        if isinstance(source.runtime_parameter, str):
            uri = inputs.parameters.get(source.runtime_parameter)
        else:
            uri = placeholders.resolve(uri, known, inputs.parameters)
        if not isinstance(uri, str) or not uri:
            raise values.MismatchError(f"the artifact's address: expected text such as s3://bucket/key, got {values.shown(uri)}")
        artifact = Artifact(
            next(iter(self._pipeline.component(task.component).output_definitions.artifacts), "artifact"),
            uri,
            importer.type_schema.title,
            importer.type_schema.schema_version or "0.0.1",
            placeholders.resolve(importer.metadata, known, inputs.parameters),
        )
        flags = (importer.reimport, importer.download_to_workspace)
        return ImportArtifact(task.id, task.attempt, task.component, task.executor, artifact, *flags)

    def _owe(self, task: Task) -> None:
        """Give a live task's instruction again."""
        if task.waiting is Waiting.CACHE:
            self._instructions.append(LookupCache(task.id, task.cache_key))
        elif task.waiting is Waiting.RETRY and task.retry_at is not None:
            # A clock that was set back must not turn a wait of seconds into one of hours.
            last = Failure("infra", "", "") if task.failure is None else task.failure
            latest = self._now + timedelta(seconds=self._delay(task, last))
            if task.retry_at > latest:
                task = replace(task, retry_at=latest)
                self._put(task)
            self._instructions.append(WakeAt(task.id, task.retry_at or self._now))
        else:
            self._instructions.append(self._instruction(task))

    def _failed(self, task: Task, failure: Failure) -> None:
        """An attempt failed: try again, or let the task fail."""
        infra = task.infra_failures + (failure.kind == "infra")
        tried = replace(task, infra_failures=infra, failure=failure)
        if failure.kind == "infra":
            again = infra <= self._run.infra_retries
            # A node that is lost may still run the attempt.
            self._instructions.append(StopStep(task.id, task.attempt))
        else:
            again = failure.kind == "user" and task.attempt + 1 - infra <= self._node(task).retry.count
        if not again:
            self._finish(tried, State.CANCELED if failure.kind == "canceled" else State.FAILED, failure=failure)
            return
        tried = replace(tried, attempt=task.attempt + 1)
        delay = self._delay(tried, failure)
        if delay <= 0:
            self._start(tried)
            return
        at = self._now + timedelta(seconds=delay)
        self._put(replace(tried, state=State.PENDING, waiting=Waiting.RETRY, retry_at=at, started_at=None))
        self._instructions.append(WakeAt(task.id, at))

    def _delay(self, task: Task, failure: Failure) -> float:
        """Seconds between the failure and the attempt that follows it (whose number the task has)."""
        if failure.kind == "infra":
            return min(_INFRA_BACKOFF * 2.0 ** min(task.infra_failures - 1, 10), _INFRA_BACKOFF_MAX)
        return self._node(task).retry.delay(task.attempt - task.infra_failures)

    def _node(self, task: Task) -> Node:
        """The node that a task of an open scope is an instance of."""
        if task.iteration is not None:
            return self._loops[str(task.parent)].node
        scope = self._scopes[str(task.parent)]
        return scope.graph.nodes[scope.graph.index[task.name]]

    # ---- scopes

    def _settle(self) -> None:
        """Let what ended and what became ready have their consequences, until there are no more."""
        while self._over or self._ready:
            if self._over:
                self._ended(self._over.popleft())
            else:
                self._enter(*self._ready.popleft())
        self._canceling = None

    def _put(self, task: Task) -> None:
        self.tasks[task.id] = task
        self._changed[task.id] = task

    def _finish(self, task: Task, state: State, *, outputs: Values | None = None, failure: Failure | None = None) -> None:
        if failure is not None and not failure.task:
            failure = replace(failure, task=task.id)
        task = replace(task, state=state, waiting=None, outputs=outputs, failure=failure, retry_at=None, finished_at=self._now)
        self._put(task)
        self._live.pop(task.id, None)
        self._over.append(task)

    def _open_dag(self, task: Task, inputs: Values) -> None:
        self._put(task)
        scope = Scope(task.id, self._graph(task), inputs)
        self._scopes[task.id] = scope
        for node in scope.graph.nodes:
            self._put(
                Task(
                    id=scope.prefix + node.name,
                    name=node.name,
                    parent=scope.id,
                    kind=node.kind,
                    component=node.component_name,
                    executor=node.executor,
                    waiting=Waiting.UPSTREAM,
                    created_at=self._now,
                )
            )
        self._ready.extend((scope, node) for node in scope.graph.nodes if not node.upstream)
        if not scope.graph.nodes:
            self._close_dag(scope)

    def _graph(self, task: Task) -> Graph:
        return graph(self._pipeline, task.component)

    def _enter(self, scope: Scope, node: Node) -> None:
        """Decide on a task whose upstream is over."""
        task = self.tasks[scope.prefix + node.name]
        if self._canceling is not None:
            self._finish(task, State.CANCELED, failure=self._canceling)
            return
        if not node.tolerant:
            for name in node.upstream:
                needed = self.tasks[scope.prefix + name]
                if not needed.state.succeeded:
                    self._finish(task, State.SKIPPED, failure=_because_of(needed))
                    return
        try:
            inputs = Resolver(self._run, self.tasks, scope.prefix, scope.inputs).resolve(node)
            holds = self._holds(node, inputs)
            items = items_of(node, inputs) if holds and node.loops else []
        except NotProducedError as error:
            self._finish(task, State.SKIPPED, failure=Failure("upstream", "UpstreamSkipped", str(error)))
        except InputError as error:
            self._finish(task, State.FAILED, failure=Failure("user", "InputInvalid", str(error)))
        else:
            if not holds:
                reason = f"the condition is false: {node.spec.trigger_policy.condition}"
                self._finish(replace(task, inputs=inputs), State.SKIPPED, failure=Failure("upstream", "ConditionFalse", reason))
            elif node.loops:
                self._open_loop(task, node, inputs, items)
            else:
                self._begin(task, node, inputs)

    def _holds(self, node: Node, inputs: Values) -> bool:
        if node.condition is None:
            return True
        try:
            result = node.condition.evaluate({"inputs": {"parameter_values": inputs.parameters}})
        except cel.EvaluationError as error:
            raise InputError(f"the condition {node.condition.text}: {error}") from error
        if not isinstance(result, bool):
            raise InputError(f"the condition {node.condition.text}: expected true or false, got {values.shown(result)}")
        return result

    def _ended(self, task: Task) -> None:
        if task.parent is None:
            self._instructions.append(self._end())
            return
        if task.state in (State.FAILED, State.CANCELED):
            self._blame(task)
        if task.iteration is not None:
            loop = self._loops[task.parent]
            loop.active -= 1
            self._advance(loop)
            return
        scope = self._scopes[task.parent]
        for position in scope.ended(task.name):
            self._ready.append((scope, scope.graph.nodes[position]))
        if not scope.unfinished:
            self._close_dag(scope)

    def _end(self) -> FinishRun:
        root = self.tasks[""]
        return FinishRun(root.state, root.failure, root.outputs or Values())

    def _blame(self, task: Task) -> None:
        """Note the failure on every DAG around the task that has none yet."""
        above = task.parent
        while above is not None:
            row = self.tasks[above]
            if row.failure is not None:
                return
            self._put(replace(row, failure=task.failure))
            above = row.parent

    def _close_dag(self, scope: Scope) -> None:
        row = self.tasks[scope.id]
        del self._scopes[scope.id]
        self._close(row, lambda: outputs.of_dag(scope.graph.component, self.tasks, scope.prefix))

    def _close(self, row: Task, made: Callable[[], Values]) -> None:
        if row.failure is None:
            self._finish(row, State.SUCCEEDED, outputs=made())
        else:
            self._finish(row, State.CANCELED if row.failure.kind == "canceled" else State.FAILED, failure=row.failure)

    # ---- loops

    def _open_loop(self, task: Task, node: Node, inputs: Values, items: list[Any]) -> None:
        self._put(replace(task, state=State.RUNNING, waiting=None, inputs=inputs, iterations=len(items), started_at=self._now))
        loop = Loop(task.id, node, inputs, items)
        self._loops[task.id] = loop
        self._advance(loop)

    def _advance(self, loop: Loop) -> None:
        """Start iterations while there is room; close the loop after the last."""
        while self._canceling is None and loop.has_room:
            self._iterate(loop, loop.take())
        if not loop.active:
            del self._loops[loop.id]
            rows = [self.tasks[f"{loop.id}.{number}"] for number in range(loop.started)]
            self._close(self.tasks[loop.id], lambda: outputs.of_loop(loop.node.component, rows))

    def _iterate(self, loop: Loop, number: int) -> None:
        node = loop.node
        task = Task(
            id=f"{loop.id}.{number}",
            name=str(number),
            parent=loop.id,
            kind=node.inner,
            component=node.component_name,
            executor=node.executor,
            iteration=number,
            created_at=self._now,
        )
        try:
            item = loop.item(number)
        except values.MismatchError as error:
            failure = Failure("user", "InputInvalid", f"item {number} of the loop: {error}")
            self._finish(task, State.FAILED, failure=failure)
        else:
            self._begin(replace(task, inputs=item), node, loop.with_item(item))

    # ---- rebuilding

    def _restore(self) -> None:
        """Work out from the rows what the machine must know besides them."""
        children: dict[str, list[Task]] = {}
        for task in self.tasks.values():
            if task.parent is not None and not self.tasks[task.parent].state.finished:
                children.setdefault(task.parent, []).append(task)
                if task.waiting in _STARTED | {Waiting.CACHE, Waiting.RETRY} and not task.state.finished and task.executor:
                    if task.kind is not Kind.LOOP:
                        self._live[task.id] = None
        for task in self.tasks.values():
            if task.state is not State.RUNNING or task.kind not in (Kind.DAG, Kind.LOOP):
                continue
            inside = children.get(task.id, [])
            if task.kind is Kind.DAG:
                scope = Scope(task.id, self._graph(task), self._inputs_of(task))
                self._scopes[task.id] = scope
                for child in inside:
                    if child.state.finished:
                        scope.ended(child.name)
            else:
                self._restore_loop(task, inside)

    def _restore_loop(self, task: Task, inside: list[Task]) -> None:
        parent = self.tasks[str(task.parent)]
        node = self._graph(parent).nodes[self._graph(parent).index[task.name]]
        inputs = task.inputs or Values()
        loop = Loop(task.id, node, inputs, items_of(node, inputs))
        loop.started = len(inside)
        loop.active = sum(not child.state.finished for child in inside)
        self._loops[task.id] = loop

    def _inputs_of(self, task: Task) -> Values:
        """All inputs of an open DAG: an iteration's row has only its item."""
        own = task.inputs or Values()
        if task.iteration is None:
            return own
        around = self.tasks[str(task.parent)].inputs or Values()
        return Values({**around.parameters, **own.parameters}, {**around.artifacts, **own.artifacts})


def _because_of(needed: Task) -> Failure:
    """Why a task is skipped whose upstream did not succeed."""
    if needed.state is State.SKIPPED:
        return Failure("upstream", "UpstreamSkipped", f"{needed.name} was skipped")
    verb = "failed" if needed.state is State.FAILED else "was canceled"
    return Failure("upstream", "UpstreamFailed" if needed.state is State.FAILED else "UpstreamCanceled", f"{needed.name} {verb}")


_HANDLERS: Mapping[type[Event], _Handler] = {
    RunStarted: Engine._run_started,
    CacheAnswered: Engine._cache_answered,
    StepStarted: Engine._step_started,
    StepCommitted: Engine._step_committed,
    StepFailed: Engine._step_failed,
    TimerFired: Engine._timer_fired,
    CancelRequested: Engine._cancel_requested,
    Resumed: Engine._resumed,
}
