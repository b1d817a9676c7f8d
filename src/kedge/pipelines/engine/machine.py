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
- **Cancelling** ends every live task at once and starts none, exit tasks included. So does a deadline that has passed.
- **Cost.** An event costs time in proportion to what it makes ready: scopes count what is awaited, nothing is searched.
- **Rebuilding.** Everything the machine knows is in the rows, so it can be rebuilt from them after any event; `Resumed` then
  gives the instructions again that may have been lost.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from kedge.errors import PipelineError
from kedge.pipelines import platform_spec
from kedge.pipelines.engine import cache, outputs, placeholders, values
from kedge.pipelines.engine.arguments import check_parameters
from kedge.pipelines.engine.flow import Flow
from kedge.pipelines.engine.graph import Node
from kedge.pipelines.engine.types import (
    Artifact,
    CacheAnswered,
    CancelRequested,
    DeadlineExceeded,
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
    """

    def __init__(self, pipeline: Pipeline, run: RunInfo, tasks: Iterable[Task] = ()) -> None:
        self._pipeline = pipeline
        self._run = run
        self._instructions: list[Instruction] = []
        self._flow = Flow(pipeline, run, tasks, self._launch)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The newest version of every row, by id."""
        return self._flow.tasks

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        root = self._flow.tasks.get("")
        return root is not None and root.state.finished

    def wants(self, task: str, attempt: int) -> bool:
        """Whether a result of this attempt would be taken: it has been started, is the current one, and is not over."""
        return self._current(task, attempt) is not None

    def handle(self, event: Event) -> Step:
        """Take in what has happened.

        An event that says nothing new (a task that is over, an attempt that is not the current one) changes nothing.
        """
        flow = self._flow
        flow.now = event.now
        self._take(event)
        flow.settle()
        if "" in flow.changed and self.finished:
            self._instructions.append(self._end())
        step = Step(tuple(flow.changed.values()), tuple(self._instructions))
        flow.changed.clear()
        self._instructions.clear()
        return step

    # ---- events

    def _take(self, event: Event) -> None:
        match event:
            case StepCommitted():
                self._step_committed(event)
            case StepStarted():
                self._step_started(event)
            case CacheAnswered():
                self._cache_answered(event)
            case StepFailed():
                self._step_failed(event)
            case TimerFired():
                self._timer_fired(event)
            case RunStarted():
                self._run_started(event)
            case CancelRequested():
                self._end_now(State.CANCELED, Failure("canceled", "RunCanceled", event.reason))
            case DeadlineExceeded():
                self._end_now(State.FAILED, Failure("user", "DeadlineExceeded", event.message))
            case _:
                self._resumed(event)

    def _run_started(self, event: RunStarted) -> None:
        if "" in self._flow.tasks:
            return
        root = Task(id="", name="", parent=None, kind=Kind.DAG, state=State.RUNNING, created_at=event.now, started_at=event.now)
        try:
            given = Values(check_parameters(self._pipeline, self._run.parameters))
        except PipelineError as error:
            self._flow.finish(root, State.FAILED, failure=Failure("user", "ParametersInvalid", str(error)))
            return
        self._flow.open_dag(replace(root, inputs=given), given)

    def _cache_answered(self, event: CacheAnswered) -> None:
        task = self._flow.tasks.get(event.task)
        if task is None or task.waiting is not Waiting.CACHE:
            return
        component = self._pipeline.component(task.component)
        if event.outputs is not None:
            try:
                found = outputs.conform(component, event.outputs)
            except outputs.OutputError:
                pass  # kept by a version that declared its outputs differently: not usable
            else:
                self._flow.finish(replace(task, cached_from=event.cached_from), State.CACHED, outputs=found)
                return
        self._start(task)

    def _step_started(self, event: StepStarted) -> None:
        task = self._current(event.task, event.attempt)
        if task is not None and task.state is State.PENDING:
            self._flow.put(replace(task, state=State.RUNNING, waiting=None, started_at=event.now))

    def _step_committed(self, event: StepCommitted) -> None:
        task = self._current(event.task, event.attempt)
        if task is None:
            return
        try:
            made = outputs.conform(self._pipeline.component(task.component), event.outputs)
        except outputs.OutputError as error:
            self._failed(task, Failure("user", "OutputInvalid", str(error)))
        else:
            self._flow.finish(task, State.SUCCEEDED, outputs=made)

    def _step_failed(self, event: StepFailed) -> None:
        task = self._current(event.task, event.attempt)
        if task is not None:
            self._failed(task, event.failure)

    def _timer_fired(self, event: TimerFired) -> None:
        task = self._flow.tasks.get(event.task)
        if task is None or task.waiting is not Waiting.RETRY or task.retry_at is None:
            return
        if event.now < task.retry_at:
            self._instructions.append(WakeAt(task.id, task.retry_at))
        else:
            self._start(task)

    def _end_now(self, state: State, failure: Failure) -> None:
        """End the run and all that runs; what has not begun is canceled too."""
        root = self._flow.tasks.get("")
        if root is None:
            root = Task(id="", name="", parent=None, kind=Kind.DAG, created_at=self._flow.now)
        if root.state.finished:
            return
        if "" not in self._flow.tasks:
            self._flow.finish(root, state, failure=failure)
            return
        self._flow.canceling = failure
        self._flow.put(replace(root, failure=failure))
        for name in list(self._flow.live):
            task = self._flow.tasks[name]
            if task.waiting in _STARTED:
                self._instructions.append(StopStep(task.id, task.attempt))
            self._flow.finish(task, State.CANCELED, failure=failure)

    def _resumed(self, event: Resumed) -> None:
        if "" not in self._flow.tasks:
            self._run_started(RunStarted(event.now))
        elif self.finished:
            for task in self._flow.tasks.values():
                if task.state is State.CANCELED and task.kind in (Kind.STEP, Kind.IMPORTER) and task.inputs is not None:
                    self._instructions.append(StopStep(task.id, task.attempt))
            self._instructions.append(self._end())
        else:
            for name in self._flow.live:
                self._owe(self._flow.tasks[name])
            self._flow.wake()

    # ---- steps

    def _current(self, name: str, attempt: int) -> Task | None:
        """The task, if this attempt of it is the one that runs."""
        task = self._flow.tasks.get(name)
        if task is None or name not in self._flow.live or task.attempt != attempt or task.waiting not in _STARTED:
            return None
        return task

    def _launch(self, task: Task, node: Node) -> None:
        """Begin a step or an import whose inputs are in its row."""
        options = node.spec.caching_options
        if node.inner is not Kind.STEP or not options.enable_cache or not self._run.cache or not self._is_lasting(task):
            self._start(task)
            return
        if options.cache_key:
            key = cache.custom_key(node.component_name, node.component, options.cache_key)
        else:
            key = cache.key(node.static_digest, node.component, task.inputs or Values(), self._run.project_digest)
        self._flow.put(replace(task, cache_key=key, waiting=Waiting.CACHE))
        self._instructions.append(LookupCache(task.id, key))

    def _is_lasting(self, task: Task) -> bool:
        """Whether what a task does may be used by another run.

        A claim that is named for its task is this run's alone, and one that was deleted may be there again; what a step leaves
        in the workspace is not among its outputs.
        """
        container, given = self._pipeline.executors[task.executor].container, (task.inputs or Values()).parameters
        if container is None:
            return True
        if container.claims:
            return container.claims == "create" and bool(given.get("pvc_name"))
        return self._pipeline.workspace is None or not platform_spec.uses_workspace(container, given)

    def _start(self, task: Task) -> None:
        """Start the current attempt."""
        task = replace(task, state=State.PENDING, waiting=Waiting.START, retry_at=None, started_at=None)
        try:
            instruction = self._instruction(task)
        except (placeholders.PlaceholderError, values.MismatchError) as error:
            self._flow.finish(task, State.FAILED, failure=Failure("user", "InputInvalid", str(error)))
            return
        self._flow.put(task)
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
        metadata = placeholders.resolve(importer.metadata, known, inputs.parameters)
        artifact = Artifact(
            next(iter(self._pipeline.component(task.component).output_definitions.artifacts), "artifact"),
            uri,
            importer.type_schema.title,
            importer.type_schema.schema_version or "0.0.1",
            {**metadata, platform_spec.IN_WORKSPACE: True} if importer.download_to_workspace else metadata,
        )
        return ImportArtifact(task.id, task.attempt, task.component, task.executor, artifact, importer.reimport)

    def _owe(self, task: Task) -> None:
        """Give a live task's instruction again."""
        if task.waiting is Waiting.CACHE:
            self._instructions.append(LookupCache(task.id, task.cache_key))
        elif task.waiting is Waiting.RETRY and task.retry_at is not None:
            # A clock that was set back must not turn a wait of seconds into one of hours.
            last = Failure("infra", "", "") if task.failure is None else task.failure
            latest = self._flow.now + timedelta(seconds=self._delay(task, last))
            if task.retry_at > latest:
                task = replace(task, retry_at=latest)
                self._flow.put(task)
            self._instructions.append(WakeAt(task.id, task.retry_at or self._flow.now))
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
            tries = task.attempt + 1 - infra
            again = failure.kind == "user" and not failure.final and tries <= self._flow.node(task).retry.count
        if not again:
            self._flow.finish(tried, State.CANCELED if failure.kind == "canceled" else State.FAILED, failure=failure)
            return
        tried = replace(tried, attempt=task.attempt + 1)
        delay = self._delay(tried, failure)
        if delay <= 0:
            self._start(tried)
            return
        at = self._flow.now + timedelta(seconds=delay)
        self._flow.put(replace(tried, state=State.PENDING, waiting=Waiting.RETRY, retry_at=at, started_at=None))
        self._instructions.append(WakeAt(task.id, at))

    def _delay(self, task: Task, failure: Failure) -> float:
        """Seconds between the failure and the attempt that follows it (whose number the task has)."""
        if failure.kind == "infra":
            return min(_INFRA_BACKOFF * 2.0 ** min(task.infra_failures - 1, 10), _INFRA_BACKOFF_MAX)
        return self._flow.node(task).retry.delay(task.attempt - task.infra_failures)

    def _end(self) -> FinishRun:
        root = self._flow.tasks[""]
        return FinishRun(root.state, root.failure, root.outputs or Values())
