"""A run that is over, opened again on purpose: with a changed pipeline, or from one of its tasks.

Like `reopening` this works on rows alone: a `Plan` says which rows change and which go, and an `Engine` made of the result, told
`Resumed`, goes on from there. A task is kept if it succeeded, its component digests to the same as before (as cache keys have
it), it takes its inputs from the same places, and all that it follows is kept too. A graph or loop that is not the same
throughout is gone through task by task. Whatever runs again counts on from its earlier attempts, because each attempt's Pod has
a name of its own.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from kedge.errors import PipelineError
from kedge.pipelines.engine import cache
from kedge.pipelines.engine.graph import Graph, Node, graph
from kedge.pipelines.engine.types import Failure, Kind, State, Task, Values, Waiting
from kedge.pipelines.spec import Pipeline

_LEAVES = (Kind.STEP, Kind.IMPORTER)
_WORDS = {State.FAILED: "it failed", State.CANCELED: "it was cancelled", State.SKIPPED: "it was skipped"}


class Plan(msgspec.Struct):
    """What becomes of a run's tasks.

    Attributes:
        rows: Those that are new or different, by id.
        removed: Rows that go; where they are tasks of the pipeline they come again.
        kept: Tasks whose results stay, each for all that is in it.
        again: Tasks that run again, or for the first time, and why.
        dropped: Tasks that the pipeline does not have any more.
    """

    rows: dict[str, Task] = {}
    removed: list[str] = []
    kept: list[str] = []
    again: dict[str, str] = {}
    dropped: list[str] = []


class Past(msgspec.Struct):
    """A run as it was.

    Attributes:
        tasks: All its rows.
        next_attempts: Number of the next attempt of every task that had one.
        now: The time at which it is opened again.
    """

    tasks: Iterable[Task]
    next_attempts: Mapping[str, int]
    now: datetime


def resumed(old: Pipeline, new: Pipeline, inputs: Values, past: Past, *, same_code: bool) -> Plan:
    """Go on with a changed pipeline.

    Args:
        old: What the run was made of so far.
        new: What it goes on with.
        inputs: The run's arguments, as the new pipeline takes them.
        past: The run as it was.
        same_code: Whether the modules beside the pipeline's file are what they were.

    Returns:
        What becomes of the tasks; without rows where nothing was ever begun: then the run may begin from the start.
    """
    return _Resuming(old, new, past, same_code=same_code).plan(inputs)


def again_from(pipeline: Pipeline, task: str, past: Past) -> Plan:
    """Run one task again, without asking the cache, and then what depends on it.

    Args:
        pipeline: What the run runs.
        task: The task's id, or its name where only one has it.
        past: The run as it was.

    Raises:
        PipelineError: There is no such task, there are several, or it can never run.
    """
    return _Again(pipeline, past).plan(task)


class _Rows:
    """The rows of a run, and the ways to change them that both have in common."""

    def __init__(self, pipeline: Pipeline, past: Past) -> None:
        self._pipeline = pipeline
        self._past = past
        self._tasks = {task.id: task for task in past.tasks}
        self._children: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            if task.parent is not None:
                self._children.setdefault(task.parent, []).append(task)
        self._plan = Plan({}, [], [], {}, [])

    def _wait(self, parent: str, node: Node) -> None:
        """Let a task begin anew once what it follows is over."""
        found = _prefix(parent) + node.name
        self._remove_inside(found)
        attempt = self._past.next_attempts.get(found, 0)
        self._plan.rows[found] = Task(
            id=found,
            name=node.name,
            parent=parent,
            kind=node.kind,
            component=node.component_name,
            executor=node.executor,
            waiting=Waiting.UPSTREAM,
            attempt=attempt,
            infra_failures=attempt,  # earlier attempts are nobody's fault: retries are whole again
            created_at=self._past.now,
        )

    def _start(self, row: Task) -> None:
        """Let a step run again with the inputs that it had; the cache is not asked."""
        attempt = self._past.next_attempts.get(row.id, 0)
        self._plan.rows[row.id] = Task(
            id=row.id,
            name=row.name,
            parent=row.parent,
            kind=row.kind,
            component=row.component,
            executor=row.executor,
            waiting=Waiting.START,
            iteration=row.iteration,
            attempt=attempt,
            infra_failures=attempt,
            inputs=row.inputs,
            cache_key=row.cache_key,
            created_at=row.created_at,
        )

    def _remove_inside(self, task: str) -> None:
        below = list(self._children.get(task, []))
        while below:
            row = below.pop()
            self._plan.removed.append(row.id)
            below += self._children.get(row.id, [])

    def _open(self, row: Task, failure: Failure | None = None) -> None:
        self._plan.rows[row.id] = replace(row, state=State.RUNNING, waiting=None, failure=failure, outputs=None, finished_at=None)


class _Resuming(_Rows):
    def __init__(self, old: Pipeline, new: Pipeline, past: Past, *, same_code: bool) -> None:
        super().__init__(new, past)
        self._same_code = same_code
        self._old = old
        self._was, self._is = _Digests(old), _Digests(new)

    def plan(self, inputs: Values) -> Plan:
        root = self._tasks.get("")
        if root is None or not self._children.get(""):
            return self._plan
        before = (root.inputs or Values()).parameters
        changed = {name for name, value in inputs.parameters.items() if name not in before or before[name] != value}
        self._scope(replace(root, inputs=inputs), changed, "")
        return self._plan

    def _scope(self, row: Task, changed: Collection[str], old_component: str) -> None:
        """Go through a DAG that runs again; ``changed`` are those of its inputs that are not what they were."""
        self._open(row)
        was, now = graph(self._old, old_component), graph(self._pipeline, row.component)
        kept: set[str] = set()
        for node in _in_order(now):
            before = was.nodes[was.index[node.name]] if node.name in was.index else None
            found = _prefix(row.id) + node.name
            reason = self._reason(node, before, found, kept, changed)
            if not reason:
                kept.add(node.name)
                self._keep(found, node)
            elif before is None or not self._go_through(node, before, found, kept, changed):
                self._plan.again[found] = reason
                self._wait(row.id, node)
        for name in was.index.keys() - now.index.keys():
            found = _prefix(row.id) + name
            if found in self._tasks:
                self._plan.dropped.append(found)
                self._plan.removed.append(found)
                self._remove_inside(found)

    def _keep(self, task: str, node: Node) -> None:
        row = self._tasks[task]
        self._plan.kept.append(task)
        if (row.component, row.executor) != (node.component_name, node.executor):
            self._plan.rows[task] = replace(row, component=node.component_name, executor=node.executor)

    def _reason(self, node: Node, before: Node | None, task: str, kept: set[str], changed: Collection[str]) -> str:
        """Why a task cannot be kept; ``""`` where it can."""
        row = self._tasks.get(task)
        if before is None or row is None:
            return "it is new"
        if self._was.of(before) != self._is.of(node):
            return "it has changed"
        if not self._same_code:
            return "the modules beside the pipeline have changed"
        if reason := self._moved(node, before, kept, changed):
            return reason
        is_false = row.failure is not None and row.failure.reason == "ConditionFalse"
        return "" if row.state.succeeded or (row.state is State.SKIPPED and is_false) else _WORDS.get(row.state, "it did not end")

    @staticmethod
    def _moved(node: Node, before: Node, kept: set[str], changed: Collection[str]) -> str:
        """Why a task's inputs or its place are not what they were."""
        if _wiring(before) != _wiring(node):
            return "its inputs come from elsewhere, or what it follows has changed"
        for name in node.upstream:
            if name not in kept:
                return f"{name} runs again"
        for name in _taken(node):
            if name in changed:
                return f"the input {name} has changed"
        return ""

    def _go_through(self, node: Node, before: Node, task: str, kept: set[str], changed: Collection[str]) -> bool:
        """Keep what can be kept within a graph or a loop; ``False`` where that cannot be told."""
        row = self._tasks.get(task)
        same_place = (
            row is not None
            and row.kind is node.kind is before.kind
            and node.inner is before.inner
            and not self._moved(node, before, kept, changed)
            and node.component.input_definitions == before.component.input_definitions
        )
        if row is None or not same_place or row.kind in _LEAVES or row.inputs is None:
            return False
        row = replace(row, component=node.component_name, executor=node.executor)
        if row.kind is Kind.DAG:
            if not self._children.get(task):
                return False
            self._scope(row, (), before.component_name)
            return True
        return self._go_through_loop(row, node, before)

    def _go_through_loop(self, loop: Task, node: Node, before: Node) -> bool:
        iterations = self._children.get(loop.id, [])
        same = self._same_code and self._was.component(before.component_name) == self._is.component(node.component_name)
        leaves = node.inner in _LEAVES
        if leaves and not same:
            return False
        # An item that did not fit has a row with nothing in it, which cannot be gone on with.
        if any(
            not row.state.succeeded and (row.inputs is None if leaves else not self._children.get(row.id)) for row in iterations
        ):
            return False
        self._open(loop)
        for row in iterations:
            moved = replace(row, component=node.component_name, executor=node.executor)
            if same and row.state.succeeded:
                self._plan.kept.append(row.id)
                if moved != row:
                    self._plan.rows[row.id] = moved
            elif leaves:
                self._plan.again[row.id] = _WORDS.get(row.state, "it did not end")
                self._start(moved)
            else:
                self._scope(moved, (), before.component_name)
        return True


class _Again(_Rows):
    def plan(self, task: str) -> Plan:
        row = self._find(task)
        self._plan.again[row.id] = "it was asked for"
        if row.kind in _LEAVES and row.inputs is not None:
            self._start(row)
        elif row.iteration is None:
            self._wait(str(row.parent), self._node(row))
        elif row.kind is Kind.DAG:
            self._begin_iteration(row)
        else:
            raise PipelineError(f"task {row.id!r} never ran, because its item does not fit: run the loop {row.parent!r} again.")
        while row.parent is not None:
            above = self._tasks[row.parent]
            if row.iteration is None:
                self._follow(above, row.name)
            self._open(above, self._remaining_failure(above))
            row = above
        # What runs again or goes is not kept, and neither is what is around it.
        open_rows = {*self._plan.rows, *self._plan.removed}
        self._plan.kept.extend(
            one.id for one in self._tasks.values() if one.kind in _LEAVES and one.state.succeeded and one.id not in open_rows
        )
        return self._plan

    def _find(self, task: str) -> Task:
        if task and task in self._tasks:
            return self._tasks[task]
        named = sorted(row.id for row in self._tasks.values() if row.id and row.name == task)
        if len(named) == 1:
            return self._tasks[named[0]]
        if named:
            shown = ", ".join(named[:10]) + (", …" if len(named) > 10 else "")
            raise PipelineError(f"task {task!r}: there are several of that name: {shown}. Give the whole id of one.")
        known = sorted(row.id for row in self._children.get("", []))
        raise PipelineError(f"task {task!r}: the run has none of that name. It has {', '.join(known[:20]) or 'none'}.")

    def _node(self, row: Task) -> Node:
        found = graph(self._pipeline, self._tasks[str(row.parent)].component)
        return found.nodes[found.index[row.name]]

    def _begin_iteration(self, row: Task) -> None:
        self._remove_inside(row.id)
        self._open(row)
        for node in graph(self._pipeline, row.component).nodes:
            self._wait(row.id, node)

    def _follow(self, scope: Task, name: str) -> None:
        """Let everything wait again that depends on a task of a DAG."""
        found = graph(self._pipeline, scope.component)
        todo, known = [found.index[name]], {found.index[name]}
        while todo:
            position = todo.pop()
            for dependent in found.nodes[position].dependents:
                if dependent not in known:
                    known.add(dependent)
                    todo.append(dependent)
                    node = found.nodes[dependent]
                    self._plan.again[_prefix(scope.id) + node.name] = f"it depends on {found.nodes[position].name}"
                    self._wait(scope.id, node)

    def _remaining_failure(self, scope: Task) -> Failure | None:
        """The first failure in a graph or loop of a task that does not run again."""
        failed = [
            row
            for row in self._children.get(scope.id, [])
            if row.id not in self._plan.rows and row.state in (State.FAILED, State.CANCELED) and row.failure is not None
        ]
        failed.sort(key=lambda row: row.finished_at or self._past.now)
        return failed[0].failure if failed else None


class _Digests:
    """What the tasks of a pipeline are, apart from where their inputs come from."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._known: dict[str, str] = {}

    def of(self, node: Node) -> str:
        """The digest of a task's component and its loop."""
        return f"{node.kind} {self.component(node.component_name)}"

    def component(self, name: str) -> str:
        """The digest of a component, with everything in it."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._digest(name)
        return found

    def _digest(self, name: str) -> str:
        component = self._pipeline.component(name)
        inside: Any
        if component.dag is not None:
            nodes = graph(self._pipeline, name).nodes
            inside = [component.dag.outputs, {node.name: (self.of(node), _wiring(node)) for node in nodes}]
        else:
            inside = self._pipeline.executors[component.executor_label or ""].importer
            if inside is None:
                inside = cache.static_digest(self._pipeline, component, component.executor_label or "")
        parts = inside, component.input_definitions, component.output_definitions
        text = msgspec.json.encode(msgspec.to_builtins(parts, str_keys=True), order="deterministic")
        return hashlib.sha256(text).hexdigest()


def _prefix(scope: str) -> str:
    return f"{scope}." if scope else ""


def _wiring(node: Node) -> Any:
    """Where a task's inputs come from, what it follows, and when."""
    spec = node.spec
    parts = spec.inputs, sorted(spec.upstream), spec.trigger_policy, spec.parameter_iterator, spec.artifact_iterator
    # Values that options of the platform refer to are resolved with the inputs.
    return msgspec.to_builtins((*parts, [option.name for option in node.options]))


def _taken(node: Node) -> list[str]:
    """Which inputs of the graph around it a task takes."""
    found = [source.component_input_parameter for source in node.spec.inputs.parameters.values()]
    found += [source.component_input_artifact for source in node.spec.inputs.artifacts.values()]
    found += [option.source.component_input_parameter for option in node.options]
    return [name for name in found if name is not None]


def _in_order(found: Graph) -> list[Node]:
    """The tasks of a graph, each after those it waits for."""
    waits = list(found.waits)
    ready = [position for position, count in enumerate(waits) if not count]
    ordered: list[Node] = []
    for position in ready:
        ordered.append(found.nodes[position])
        for dependent in found.nodes[position].dependents:
            waits[dependent] -= 1
            if not waits[dependent]:
                ready.append(dependent)
    return ordered
