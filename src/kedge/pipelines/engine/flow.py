"""How tasks follow each other: DAGs, loops, conditions, and what the end of one task means for others.

`Flow` owns the rows of a run. It knows nothing of attempts, caches or retries: a step whose inputs are known is handed to
``launch``, and comes back through `finish`. Consequences are worked off a queue, not by recursion, so that a chain of any length
can be skipped.
"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

from msgspec.structs import replace

from kedge.pipelines.engine import cel, outputs, values
from kedge.pipelines.engine.graph import Graph, Node, graph
from kedge.pipelines.engine.inputs import InputError, NotProducedError, Resolver
from kedge.pipelines.engine.scopes import Loop, Scope, items_of
from kedge.pipelines.engine.types import Failure, Kind, RunInfo, State, Task, Values, Waiting
from kedge.pipelines.spec import Pipeline

Launch: TypeAlias = Callable[[Task, Node], None]
"""Begins a step or an import whose inputs are in its row."""


class Flow:
    """The tasks of one run.

    Args:
        pipeline: What to run.
        run: Facts and arguments of this run.
        tasks: All stored rows.
        launch: Called for each step and importer that is ready.

    Attributes:
        tasks: The newest version of every row, by id.
        live: Steps and importers between ready and over, in the order in which they became so.
        changed: Rows that are new or different since somebody cleared this.
        now: The time of the event that is handled.
        canceling: Set while the run is canceled: why.
    """

    def __init__(self, pipeline: Pipeline, run: RunInfo, tasks: Iterable[Task], launch: Launch) -> None:
        self.tasks: dict[str, Task] = {task.id: task for task in tasks}
        self.live: dict[str, None] = {}
        self.changed: dict[str, Task] = {}
        self.now: datetime = run.created_at
        self.canceling: Failure | None = None
        self._pipeline = pipeline
        self._run = run
        self._launch = launch
        self._scopes: dict[str, Scope] = {}
        self._loops: dict[str, Loop] = {}
        self._ready: deque[tuple[Scope, Node]] = deque()
        self._over: deque[Task] = deque()
        self._restore()

    def node(self, task: Task) -> Node:
        """The node that a task of an open scope is an instance of."""
        if task.iteration is not None:
            return self._loops[str(task.parent)].node
        scope = self._scopes[str(task.parent)]
        return scope.graph.nodes[scope.graph.index[task.name]]

    def settle(self) -> None:
        """Let what ended and what became ready have their consequences, until there are no more."""
        while self._over or self._ready:
            if self._over:
                self._ended(self._over.popleft())
            else:
                self._enter(*self._ready.popleft())
        self.canceling = None

    def put(self, task: Task) -> None:
        """Take a new version of a row."""
        self.tasks[task.id] = task
        self.changed[task.id] = task

    def finish(self, task: Task, state: State, *, outputs: Values | None = None, failure: Failure | None = None) -> None:
        """A task is over. A failure that names no task is this one's."""
        if failure is not None and not failure.task:
            failure = replace(failure, task=task.id)
        task = replace(task, state=state, waiting=None, outputs=outputs, failure=failure, retry_at=None, finished_at=self.now)
        self.put(task)
        self.live.pop(task.id, None)
        self._over.append(task)

    def open_dag(self, task: Task, inputs: Values) -> None:
        """Begin a DAG: the root, a nested one, or an iteration. ``inputs`` are all that its tasks may refer to."""
        self.put(task)
        scope = Scope(task.id, self._graph(task), inputs)
        self._scopes[task.id] = scope
        for node in scope.graph.nodes:
            attempt = self._run.first_attempts.get(scope.prefix + node.name, 0)
            self.put(
                Task(
                    id=scope.prefix + node.name,
                    name=node.name,
                    parent=scope.id,
                    kind=node.kind,
                    component=node.component_name,
                    executor=node.executor,
                    waiting=Waiting.UPSTREAM,
                    attempt=attempt,
                    infra_failures=attempt,
                    created_at=self.now,
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
        if self.canceling is not None:
            self.finish(task, State.CANCELED, failure=self.canceling)
            return
        if not node.tolerant:
            for name in node.upstream:
                needed = self.tasks[scope.prefix + name]
                if not needed.state.succeeded:
                    self.finish(task, State.SKIPPED, failure=_because_of(needed))
                    return
        try:
            inputs = Resolver(self._run, self.tasks, scope.prefix, scope.inputs).resolve(node)
            holds = self._holds(node, inputs)
            items = items_of(node, inputs) if holds and node.loops else []
        except NotProducedError as error:
            self.finish(task, State.SKIPPED, failure=Failure("upstream", "UpstreamSkipped", str(error)))
        except InputError as error:
            self.finish(task, State.FAILED, failure=Failure("user", "InputInvalid", str(error)))
        else:
            if not holds:
                reason = f"the condition is false: {node.spec.trigger_policy.condition}"
                self.finish(replace(task, inputs=inputs), State.SKIPPED, failure=Failure("upstream", "ConditionFalse", reason))
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

    def _begin(self, task: Task, node: Node, inputs: Values) -> None:
        """Begin a task (or one iteration of it) whose inputs are known."""
        if node.inner is Kind.DAG:
            own = inputs if task.iteration is None else task.inputs
            self.open_dag(replace(task, state=State.RUNNING, waiting=None, inputs=own, started_at=self.now), inputs)
        else:
            self.live[task.id] = None
            self._launch(replace(task, inputs=inputs), node)

    def _ended(self, task: Task) -> None:
        if task.parent is None:
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

    def _blame(self, task: Task) -> None:
        """Note the failure on every DAG around the task that has none yet."""
        above = task.parent
        while above is not None:
            row = self.tasks[above]
            if row.failure is not None:
                return
            self.put(replace(row, failure=task.failure))
            above = row.parent

    def _close_dag(self, scope: Scope) -> None:
        row = self.tasks[scope.id]
        del self._scopes[scope.id]
        self._close(row, lambda: outputs.of_dag(scope.graph.component, self.tasks, scope.prefix))

    def _close(self, row: Task, made: Callable[[], Values]) -> None:
        if row.failure is None:
            self.finish(row, State.SUCCEEDED, outputs=made())
        else:
            self.finish(row, State.CANCELED if row.failure.kind == "canceled" else State.FAILED, failure=row.failure)

    # ---- loops

    def _open_loop(self, task: Task, node: Node, inputs: Values, items: list[Any]) -> None:
        self.put(replace(task, state=State.RUNNING, waiting=None, inputs=inputs, iterations=len(items), started_at=self.now))
        loop = Loop(task.id, node, inputs, items)
        self._loops[task.id] = loop
        self._advance(loop)

    def _advance(self, loop: Loop) -> None:
        """Start iterations while there is room; close the loop after the last."""
        while self.canceling is None and loop.has_room:
            self._iterate(loop, loop.take())
        if not loop.active:
            del self._loops[loop.id]
            rows = [self.tasks[f"{loop.id}.{number}"] for number in range(loop.started)]
            self._close(self.tasks[loop.id], lambda: outputs.of_loop(loop.node.component, rows))

    def _iterate(self, loop: Loop, number: int) -> None:
        node = loop.node
        attempt = self._run.first_attempts.get(f"{loop.id}.{number}", 0)
        task = Task(
            id=f"{loop.id}.{number}",
            name=str(number),
            parent=loop.id,
            kind=node.inner,
            component=node.component_name,
            executor=node.executor,
            iteration=number,
            attempt=attempt,
            infra_failures=attempt,
            created_at=self.now,
        )
        try:
            item = loop.item(number)
        except values.MismatchError as error:
            failure = Failure("user", "InputInvalid", f"item {number} of the loop: {error}")
            self.finish(task, State.FAILED, failure=failure)
        else:
            self._begin(replace(task, inputs=item), node, loop.with_item(item))

    def wake(self) -> None:
        """Begin what waits for nothing: there is such a thing only in a run that was opened again."""
        for scope in list(self._scopes.values()):
            for node in scope.graph.nodes:
                waits = self.tasks[scope.prefix + node.name].waiting is Waiting.UPSTREAM
                if waits and all(self.tasks[scope.prefix + name].state.finished for name in node.upstream):
                    self._ready.append((scope, node))
            if not scope.unfinished:
                self._close_dag(scope)
        for loop in list(self._loops.values()):
            if loop.has_room or not loop.active:
                self._advance(loop)

    # ---- rebuilding

    def _restore(self) -> None:
        """Work out from the rows what the machine must know besides them."""
        children: dict[str, list[Task]] = {}
        for task in self.tasks.values():
            if task.parent is not None and not self.tasks[task.parent].state.finished:
                children.setdefault(task.parent, []).append(task)
                step = task.kind in (Kind.STEP, Kind.IMPORTER)
                if step and not task.state.finished and task.waiting is not Waiting.UPSTREAM:
                    self.live[task.id] = None
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
