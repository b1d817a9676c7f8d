"""A run that is not over: its engine in memory, and the one place where its progress is written.

`LiveRun.advance` feeds events to the engine, answers at once what can be answered from the history, writes everything that
changed in one transaction, and only then returns what must be done. It is synchronous: between an event and its record nothing
else happens. When the write fails the engine is ahead of the history, so the run is dropped and loaded again (`LiveRun.broken`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from kedge.pipelines.engine.machine import Engine
from kedge.pipelines.engine.types import (
    Artifact,
    CacheAnswered,
    CancelRequested,
    Event,
    Failure,
    FinishRun,
    ImportArtifact,
    Inputs,
    Instruction,
    Kind,
    LookupCache,
    Outputs,
    StartStep,
    State,
    StepCommitted,
    StepFailed,
    StepStarted,
    StopStep,
    Task,
)
from kedge.pipelines.history import History
from kedge.pipelines.ids import derived_id
from kedge.pipelines.records import ArtifactRecord, Attempt, Changes, Edge, RunRecord, Spec
from kedge.pipelines.spec import Pipeline
from kedge.pipelines.steps import Steps, Surroundings, pod_name

Listener = Callable[[Iterable[Task]], None]


class LiveRun:
    """One run.

    Args:
        record: The run as the history has it.
        spec: Its documents.
        pipeline: What they say.
        history: Where progress is written.
        surroundings: What all Pods share.
        infra_retries: How often a step is tried again after failures that are not its own.

    Attributes:
        record: The newest version.
        attempts: Attempts that are not over, by task and number.
        listeners: Called with the tasks of each transition, after it was written; with none when the run is over.
        equipped: The run's ConfigMaps are known to be there.
        has_workspace: The same of its workspace.
        broken: The engine and the history differ: load the run again.
    """

    def __init__(
        self,
        record: RunRecord,
        spec: Spec,
        pipeline: Pipeline,
        history: History,
        surroundings: Surroundings,
        *,
        infra_retries: int,
    ) -> None:
        self.record = record
        self.spec = spec
        self.pipeline = pipeline
        self.steps = Steps(pipeline, record, spec, surroundings)
        self.listeners: list[Listener] = []
        self.equipped = False
        self.has_workspace = False
        self.broken = False
        self._history = history
        self._cache_ttl = surroundings.cache_ttl
        self._place_fault = surroundings.place_fault
        info = record.info(infra_retries=infra_retries, project_digest=str(spec.project.get("digest", "")))
        info = replace(info, final_status_complete=surroundings.final_status_complete)
        tasks, attempts = history.tasks(record.id), history.attempts(record.id)
        info = replace(info, first_attempts=_first_attempts(tasks, attempts))
        self.engine = Engine(pipeline, info, tasks)
        self.attempts: dict[tuple[str, int], Attempt] = {
            (found.task, found.number): found for found in attempts if not found.state.finished
        }

    def counts(self) -> dict[str, int]:
        """How many steps and importers there are, by state."""
        steps = (Kind.STEP, Kind.IMPORTER)
        return dict(Counter(task.state.value for task in self.engine.tasks.values() if task.kind in steps))

    def seen(self, task: str, number: int, pod_uid: str) -> None:
        """Note which Pod an attempt is; written with the attempt's next change."""
        found = self.attempts.get((task, number))
        if found is not None and found.pod_uid is None:
            self.attempts[task, number] = replace(found, pod_uid=pod_uid)

    def stage(self, attempt: Attempt, outputs: Outputs) -> None:
        """Keep outputs that a sidecar committed until the main container's exit is seen."""
        staged = replace(attempt, staged=outputs)
        self._history.write(self.record, Changes(attempts={(staged.task, staged.number): staged}))
        self.attempts[staged.task, staged.number] = staged

    def advance(self, events: Iterable[Event]) -> list[Instruction]:
        """Take in what has happened, write it, and say what to do.

        Args:
            events: In order.

        Returns:
            What the caller must carry out; look-ups that need no one else were answered here.

        Raises:
            Unavailable: It could not be written; the run is `broken`.
        """
        changes = Changes()
        owed: list[Instruction] = []
        waiting = deque(events)
        try:
            while waiting:
                event = waiting.popleft()
                step = self.engine.handle(event)
                changes.tasks.update((task.id, task) for task in step.changed)
                self._attempt(event, changes)
                self._run_state(event, changes)
                for instruction in step.instructions:
                    answer = self._carry_out(instruction, event.now, changes)
                    if answer is not None:
                        waiting.append(answer)
                    else:
                        owed.append(instruction)
            if not changes.empty:
                self._history.write(self.record, changes)
        except BaseException:
            self.broken = True
            raise
        self._written(changes)
        return owed

    def _written(self, changes: Changes) -> None:
        for key, attempt in changes.attempts.items():
            if attempt.state.finished:
                self.attempts.pop(key, None)
            else:
                self.attempts[key] = attempt
        if changes.run is not None:
            self.record = changes.run
        if changes.tasks:
            for listener in list(self.listeners):
                listener(changes.tasks.values())

    # ---- what an event means for the attempt it is about

    def _attempt(self, event: Event, changes: Changes) -> None:
        if isinstance(event, CacheAnswered):
            self._reused(self.engine.tasks[event.task], changes)
        if not isinstance(event, StepStarted | StepCommitted | StepFailed):
            return
        key = (event.task, event.attempt)
        attempt = changes.attempts.get(key) or self.attempts.get(key)
        if attempt is None or attempt.state.finished:
            return
        if isinstance(event, StepStarted):
            if attempt.state is State.PENDING:
                changes.attempts[key] = replace(attempt, state=State.RUNNING, started_at=event.now)
            return
        failure = event.failure if isinstance(event, StepFailed) else None
        task = self.engine.tasks[event.task]
        if failure is None and task.state is State.SUCCEEDED:
            changes.attempts[key] = replace(attempt, state=State.SUCCEEDED, staged=None, finished_at=event.now)
            self._made(task, changes, event.now)
            return
        failure = failure or task.failure or Failure("user", "OutputInvalid", "the outputs do not fit their declaration")
        state = State.CANCELED if failure.kind == "canceled" else State.FAILED
        changes.attempts[key] = replace(attempt, state=state, failure=failure, staged=None, finished_at=event.now)

    def _made(self, task: Task, changes: Changes, now: datetime) -> None:
        """Record the artifacts that an attempt made."""
        for name, listed in (task.outputs or Outputs()).artifacts.items():
            for position, artifact in enumerate(listed):
                record = ArtifactRecord(
                    id=artifact.id or derived_id(self.record.id, task.id, task.attempt, name, position),
                    namespace=self.record.namespace,
                    artifact=artifact,
                    run=self.record.id,
                    task=task.id,
                    created_at=now,
                )
                changes.artifacts.append(record)
                changes.edges.append(Edge(self.record.id, task.id, "output", name, position, record.id))

    def _reused(self, task: Task, changes: Changes) -> None:
        """Record what a cached task would have read, and whose artifacts it uses."""
        if task.outputs is None:
            return  # a miss: it starts
        self._link(task.id, "input", task.inputs, changes)
        self._link(task.id, "output", task.outputs, changes)

    def _link(self, task: str, direction: Literal["input", "output"], values: Inputs | Outputs | None, changes: Changes) -> None:
        for name, listed in ({} if values is None else values.artifacts).items():
            edges = (Edge(self.record.id, task, direction, name, position, one.id) for position, one in enumerate(listed))
            changes.edges += [edge for edge in edges if edge.artifact]

    # ---- what is answered at once

    def _carry_out(self, instruction: Instruction, now: datetime, changes: Changes) -> Event | None:
        if isinstance(instruction, StartStep):
            self._start(instruction, now, changes)
        elif isinstance(instruction, StopStep):
            self._stop(instruction, now, changes)
        elif isinstance(instruction, LookupCache):
            return self._look_up(instruction, now, changes)
        elif isinstance(instruction, ImportArtifact):
            return self._import(instruction, now, changes)
        elif isinstance(instruction, FinishRun):
            record = changes.run or self.record
            changes.run = record.moved(
                instruction.state.value, now, failure=instruction.failure, outputs=instruction.outputs, finished_at=now
            )
        return None

    def _start(self, start: StartStep, now: datetime, changes: Changes) -> None:
        key = (start.task, start.attempt)
        if key in self.attempts or key in changes.attempts:
            return
        changes.attempts[key] = Attempt(
            run=self.record.id,
            task=start.task,
            number=start.attempt,
            pod_name=pod_name(self.record, start.task, start.attempt),
            spec_digest=self.record.spec_digest,
            created_at=now,
        )
        self._link(start.task, "input", start.inputs, changes)

    def _stop(self, stop: StopStep, now: datetime, changes: Changes) -> None:
        key = (stop.task, stop.attempt)
        attempt = changes.attempts.get(key) or self.attempts.get(key)
        if attempt is not None and not attempt.state.finished:
            failure = self.engine.tasks[stop.task].failure
            changes.attempts[key] = replace(attempt, state=State.CANCELED, failure=failure, staged=None, finished_at=now)

    def _look_up(self, lookup: LookupCache, now: datetime, changes: Changes) -> CacheAnswered | None:
        """Answer from the history; ``None`` where somebody must first see whether what was made is still there."""
        if any(task.cache_key == lookup.key and task.state is State.SUCCEEDED for task in changes.tasks.values()):
            return None  # what it may use is written with this transaction, and found after it
        found = self.cached(lookup, now)
        if found is None:
            return CacheAnswered(now, lookup.task)
        asked = any(found[0].artifacts.values()) or self.claims(self.engine.tasks[lookup.task].executor)
        return None if asked else CacheAnswered(now, lookup.task, *found)

    def claims(self, executor: str) -> str:
        """What an executor does with a PersistentVolumeClaim; see `spec.Container.claims`."""
        container = self.pipeline.executors[executor].container
        return container.claims if container is not None else ""

    def cached(self, lookup: LookupCache, now: datetime) -> tuple[Outputs, str] | None:
        """What the history keeps under a cache key and is not too old, for those who check the artifacts."""
        limits = (self._cache_ttl, self.pipeline.cache_ttls.get(self.engine.tasks[lookup.task].executor))
        since = max((now - timedelta(seconds=ttl) for ttl in limits if ttl is not None), default=None)
        return self._history.cached(lookup.key, self.record.namespace, self.record.pipeline_name, since=since)

    def _import(self, instruction: ImportArtifact, now: datetime, changes: Changes) -> Event:
        wanted, record = instruction.artifact, self.record
        if fault := self._place_fault(wanted.uri, record.namespace):
            return StepFailed(
                now, instruction.task, instruction.attempt, Failure("user", "ImportForbidden", f"{fault}.", final=True)
            )
        found = None if instruction.reimport else self._known(wanted, changes)
        if found is None:
            made = derived_id(record.id, instruction.task, instruction.attempt, wanted.name)
            found = replace(wanted, id=made)
            changes.artifacts.append(
                ArtifactRecord(
                    id=made, namespace=record.namespace, artifact=found, run=record.id, task=instruction.task, created_at=now
                )
            )
        changes.edges.append(Edge(record.id, instruction.task, "output", wanted.name, 0, found.id))
        outputs = Outputs(artifacts={wanted.name: [replace(found, name=wanted.name)]})
        return StepCommitted(now, instruction.task, instruction.attempt, outputs)

    def _known(self, wanted: Artifact, changes: Changes) -> Artifact | None:
        """An earlier record of the same thing: its address and type, and at least its metadata."""
        unwritten = [record for record in changes.artifacts if record.artifact.uri == wanted.uri]
        for record in [*unwritten, *self._history.artifacts_at(wanted.uri)]:
            had = record.artifact
            same = had.type == wanted.type and wanted.metadata.items() <= had.metadata.items()
            if same and record.namespace == self.record.namespace:
                return had
        return None

    # ---- the run itself

    def _run_state(self, event: Event, changes: Changes) -> None:
        record = changes.run or self.record
        if record.finished:
            return
        if isinstance(event, CancelRequested):
            reason = record.cancel_reason or event.reason
            changes.run = record.moved("CANCELING", event.now, cancel_reason=reason)
        elif record.state == "PENDING" and self.engine.tasks:
            changes.run = record.moved("RUNNING", event.now, started_at=event.now)


def _first_attempts(tasks: Iterable[Task], attempts: Iterable[Attempt]) -> dict[str, int]:
    """Where tasks count from that have no row, because the run was resumed without it, but had attempts before."""
    known, found = {task.id for task in tasks}, dict[str, int]()
    for attempt in attempts:
        if attempt.task not in known:
            found[attempt.task] = max(found.get(attempt.task, 0), attempt.number + 1)
    return found
