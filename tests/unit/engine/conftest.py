"""A small builder of IR, and a world that carries out what the engine says: Pods, timers, a cache, rows that survive a kill."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kedge.pipelines import documents, ir
from kedge.pipelines.engine.machine import Engine
from kedge.pipelines.engine.types import (
    CANCELLED,
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

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
Json = dict[str, Any]
Behaviour = Callable[[StartStep], Values | Failure]


class Build:
    """IR in few words."""

    @staticmethod
    def const(value: Any) -> Json:
        return {"runtimeValue": {"constant": value}}

    @staticmethod
    def out(task: str, key: str = "out", select: str = "") -> Json:
        source: Json = {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}
        return {**source, "parameterExpressionSelector": select} if select else source

    @staticmethod
    def outer(name: str, select: str = "") -> Json:
        source: Json = {"componentInputParameter": name}
        return {**source, "parameterExpressionSelector": select} if select else source

    @staticmethod
    def status(task: str) -> Json:
        return {"taskFinalStatus": {"producerTask": task}}

    @staticmethod
    def artifact(task: str, key: str = "data") -> Json:
        return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}

    @staticmethod
    def outer_artifact(name: str) -> Json:
        return {"componentInputArtifact": name}

    @staticmethod
    def parameters(**types: Any) -> Json:
        """Declare parameters: a type's name, or the whole definition."""
        return {k: v if isinstance(v, dict) else {"parameterType": v} for k, v in types.items()}

    @staticmethod
    def artifacts(**types: Any) -> Json:
        return {k: v if isinstance(v, dict) else {"artifactType": {"schemaTitle": v}} for k, v in types.items()}

    @classmethod
    def component(cls, inputs: Json | None = None, outputs: Json | None = None, **body: Any) -> Json:
        """A component; names that begin with ``@`` are artifacts."""
        made: Json = dict(body)
        for field, given in (("inputDefinitions", inputs), ("outputDefinitions", outputs)):
            parameters = {k: v for k, v in (given or {}).items() if not k.startswith("@")}
            artifacts = {k[1:]: v for k, v in (given or {}).items() if k.startswith("@")}
            made[field] = {"parameters": cls.parameters(**parameters), "artifacts": cls.artifacts(**artifacts)}
        return made

    @classmethod
    def step(cls, inputs: Json | None = None, outputs: Json | None = None) -> Json:
        """A container component, of one integer in and one out if nothing else is said."""
        return cls.component(inputs, {"out": "NUMBER_INTEGER"} if outputs is None else outputs)

    @classmethod
    def dag(cls, tasks: Json, inputs: Json | None = None, outputs: Json | None = None, give: Json | None = None) -> Json:
        """A DAG component; ``give`` says where its outputs come from: ``{"out": ("task", "key")}``, a list for one of several."""
        parameters: Json = {}
        artifacts: Json = {}
        for name, source in (give or {}).items():
            candidates = source if isinstance(source, list) else [source]
            if name.startswith("@"):
                listed = [{"producerSubtask": t, "outputArtifactKey": k} for t, k in candidates]
                artifacts[name[1:]] = {"artifactSelectors": listed}
                continue
            listed = [{"producerSubtask": t, "outputParameterKey": k} for t, k in candidates]
            several = isinstance(source, list)
            parameters[name] = (
                {"valueFromOneof": {"parameterSelectors": listed}} if several else {"valueFromParameter": listed[0]}
            )
        body = {"tasks": tasks, "outputs": {"parameters": parameters, "artifacts": artifacts}}
        return cls.component(inputs, outputs, dag=body)

    @classmethod
    def task(cls, component: str, inputs: Json | None = None, after: list[str] | None = None, **fields: Any) -> Json:
        """A task; inputs that begin with ``@`` are artifacts."""
        given = inputs or {}
        return {
            "componentRef": {"name": component},
            "inputs": {
                "parameters": {k: v for k, v in given.items() if not k.startswith("@")},
                "artifacts": {k[1:]: v for k, v in given.items() if k.startswith("@")},
            },
            "dependentTasks": after or [],
            **fields,
        }

    @staticmethod
    def over(items: Any, item: str = "item", limit: int = 0) -> Json:
        """Fields of a loop over a list, or over the input of that name."""
        source = {"inputParameter": items} if isinstance(items, str) else {"raw": json.dumps(items)}
        return {"parameterIterator": {"items": source, "itemInput": item}, "iteratorPolicy": {"parallelismLimit": limit}}

    @staticmethod
    def when(condition: str = "", *, tolerant: bool = False) -> Json:
        policy: Json = {"condition": condition} if condition else {}
        if tolerant:
            policy["strategy"] = "ALL_UPSTREAM_TASKS_COMPLETED"
        return {"triggerPolicy": policy}

    @staticmethod
    def retry(count: int, delay: str = "0s", factor: float = 2.0) -> Json:
        return {"retryPolicy": {"maxRetryCount": count, "backoffDuration": delay, "backoffFactor": factor}}

    @classmethod
    def pipeline(cls, root: Json, components: Json | None = None, executors: Json | None = None) -> Json:
        """A pipeline; components that are no DAG get an executor of their own."""
        labels = dict(executors or {})
        known: Json = {}
        for name, component in (components or {}).items():
            known[name] = component
            if "dag" not in component and "executorLabel" not in component:
                known[name] = {**component, "executorLabel": name}
                labels.setdefault(name, {"container": {"image": "python:3.11", "command": ["run", name]}})
        return {
            "pipelineInfo": {"name": "p"},
            "root": root,
            "components": known,
            "deploymentSpec": {"executors": labels},
            "schemaVersion": "2.1.0",
        }


class Killed(Exception):
    """The hub was killed here."""


class World:
    """Carries out instructions. Only `rows`, Pods, timers and the cache survive a kill."""

    def __init__(
        self, spec: Json, behaviour: Behaviour | None = None, kill: Callable[[], bool] | None = None, **run: Any
    ) -> None:
        self.pipeline = ir.read(documents.document(spec))
        self.run = replace(RunInfo(id="run-1", name="run-1", created_at=START), **run)
        self.behaviour: Behaviour = behaviour or (lambda step: Values({"out": 1}))
        self.kill = kill or (lambda: False)
        self.now = START
        self.rows: dict[str, Task] = {}
        self.pods: dict[tuple[str, int], StartStep | ImportArtifact] = {}
        self.results: dict[tuple[str, int], Values | Failure] = {}
        self.timers: dict[str, datetime] = {}
        self.cache: dict[str, Values] = {}
        self.lookups: dict[str, str] = {}
        self.stopped: set[tuple[str, int]] = set()
        self.executed: list[tuple[str, int]] = []
        self.finish: FinishRun | None = None
        self.finishes = 0
        self.engine = Engine(self.pipeline, self.run)

    # ---- the hub

    def tell(self, event: Event) -> tuple[Instruction, ...]:
        """Handle an event as the run controller does: rows first, in one transaction, then the instructions."""
        before = dict(self.rows)
        step = self.engine.handle(event)
        if self.kill():
            raise Killed
        self.rows.update((task.id, task) for task in step.changed)
        self.check(before)
        for instruction in step.instructions:
            if self.kill():
                raise Killed
            self.carry_out(instruction)
        return step.instructions

    def restart(self) -> None:
        """Rebuild the engine from the rows, as after a kill."""
        while True:
            self.engine = Engine(self.pipeline, self.run, self.rows.values())
            self.lookups.clear()
            self.timers.clear()
            try:
                self.tell(Resumed(self.now))
            except Killed:
                continue
            return

    def carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case StartStep() | ImportArtifact():
                key = (instruction.task, instruction.attempt)
                if key not in self.pods:
                    self.pods[key] = instruction
                    self.execute(instruction)
            case StopStep():
                self.stopped.add((instruction.task, instruction.attempt))
                self.results.pop((instruction.task, instruction.attempt), None)
            case LookupCache():
                self.lookups[instruction.task] = instruction.key
            case WakeAt():
                self.timers[instruction.task] = instruction.at
            case FinishRun():
                self.finish = instruction
                self.finishes += 1

    def execute(self, pod: StartStep | ImportArtifact) -> None:
        self.executed.append((pod.task, pod.attempt))
        if isinstance(pod, ImportArtifact):
            self.results[pod.task, pod.attempt] = Values({}, {pod.artifact.name: [pod.artifact]})
        else:
            self.results[pod.task, pod.attempt] = self.behaviour(pod)

    # ---- what may happen next

    def events(self) -> list[Callable[[], Event]]:
        made: list[Callable[[], Event]] = []
        for (task, attempt), result in self.results.items():
            if isinstance(result, Failure):
                made.append(lambda t=task, a=attempt, r=result: StepFailed(self.now, t, a, r))
            else:
                made.append(lambda t=task, a=attempt, r=result: StepCommitted(self.now, t, a, r))
        for task, key in self.lookups.items():
            made.append(lambda t=task, k=key: CacheAnswered(self.now, t, self.cache.get(k), "earlier" if k in self.cache else ""))
        made.extend(lambda t=task: TimerFired(self.now, t) for task in self.timers)
        return made

    def deliver(self, event: Event) -> tuple[Instruction, ...]:
        """Hand over one event; what it was made of is gone only when the rows hold its consequences."""
        self.now += timedelta(seconds=1)
        event = replace(event, now=self.now)
        if isinstance(event, TimerFired):
            self.now = max(self.now, self.timers.pop(event.task))
            event = TimerFired(self.now, event.task)
        if isinstance(event, CacheAnswered):
            del self.lookups[event.task]
        told = self.tell(event)
        self.forget(event)
        return told

    def forget(self, event: Event) -> None:
        if isinstance(event, StepCommitted | StepFailed):
            self.results.pop((event.task, event.attempt), None)
            task = self.rows[event.task]
            if isinstance(event, StepCommitted) and task.cache_key and task.state is State.SUCCEEDED:
                self.cache[task.cache_key] = event.outputs

    def go(self, choose: Callable[[int], int] = lambda count: 0, *, started: bool = True, limit: int = 100_000) -> "World":
        """Run to the end; ``choose`` picks which of the possible events comes next."""
        begun = False
        while limit and (not begun or self.events()):
            limit -= 1
            try:
                if not begun:
                    begun = True
                    if "" not in self.rows:
                        self.tell(RunStarted(self.now))
                    continue
                possible = self.events()
                event = possible[choose(len(possible))]()
                if started and isinstance(event, StepCommitted):
                    self.tell(StepStarted(self.now, event.task, event.attempt))
                self.deliver(event)
            except Killed:
                self.restart()
        assert limit, "the run does not end"
        return self

    def cancel(self, reason: str = CANCELLED) -> tuple[Instruction, ...]:
        return self.tell(CancelRequested(self.now, reason))

    # ---- looking

    def states(self) -> dict[str, str]:
        return {name: str(task.state) for name, task in self.rows.items() if name}

    def ran(self) -> list[str]:
        return [task for task, _ in self.executed]

    def __getitem__(self, name: str) -> Task:
        return self.rows[name]

    @property
    def outcome(self) -> dict[str, Any]:
        """What must be the same however a run was disturbed."""
        return {
            name: (str(t.state), t.attempt, t.inputs, t.outputs, t.failure and (t.failure.kind, t.failure.reason), t.iterations)
            for name, t in sorted(self.rows.items())
        }

    # ---- invariants

    def check(self, before: Mapping[str, Task]) -> None:
        """What is true after every event."""
        for name, row in self.rows.items():
            if name in before and before[name].state.finished:
                assert row == before[name], f"{name} was over and changed"
            if row.parent is not None:
                above = self.rows[row.parent]
                assert above.state is not State.PENDING, f"{name} exists before its DAG runs"
                assert row.state.finished or not above.state.finished, f"{name} is alive in a DAG that is over"
            assert (row.finished_at is not None) == row.state.finished
            assert (row.waiting is not None) == (row.state is State.PENDING), f"{name}: {row.state} waits for {row.waiting}"
            assert row.state is not State.PENDING or row.outputs is None
            assert (row.waiting is Waiting.RETRY) == (row.retry_at is not None)
            if row.kind in (Kind.STEP, Kind.IMPORTER) and row.waiting not in (Waiting.UPSTREAM, None):
                assert row.inputs is not None
        for name, row in self.rows.items():
            if row.kind in (Kind.DAG, Kind.LOOP) and row.state is State.RUNNING:
                assert any(r.parent == name and not r.state.finished for r in self.rows.values()), (
                    f"{name} runs and has nothing left"
                )
        self.check_rebuilt()

    def check_rebuilt(self) -> None:
        """An engine rebuilt from the rows knows what the one that made them knows."""
        ours, theirs = self.engine._flow, Engine(self.pipeline, self.run, self.rows.values())._flow
        assert set(ours.live) == set(theirs.live)
        assert {k: (s.unfinished, s._awaited, s.inputs) for k, s in ours._scopes.items()} == {
            k: (s.unfinished, s._awaited, s.inputs) for k, s in theirs._scopes.items()
        }
        assert {k: (s.started, s.active, s._items, s.inputs) for k, s in ours._loops.items()} == {
            k: (s.started, s.active, s._items, s.inputs) for k, s in theirs._loops.items()
        }


def artifact(name: str, digest: str = "") -> Artifact:
    return Artifact(name, f"file:///artifacts/{name}", "system.Dataset", digest=digest or f"sha256:{name}")


@pytest.fixture(scope="session")
def build() -> type[Build]:
    return Build


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def make_artifact() -> Callable[..., Artifact]:
    return artifact
