"""A run that did not succeed, opened again: what succeeded is kept, what failed is tried anew, what waited for it waits again.

This works on rows alone. `reopened` gives the rows as they must be; an `Engine` made of them, told `Resumed`, goes on from there.
A step that runs again keeps counting its attempts, because each attempt's Pod has a name of its own. A step that follows a
failure on purpose (an exit task) and has run is run again after what it follows; a whole graph of such steps is not.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from kedge.pipelines.engine.graph import graph
from kedge.pipelines.engine.types import Kind, State, Task, Waiting
from kedge.pipelines.spec import Pipeline

_LEAVES = (Kind.STEP, Kind.IMPORTER)


def reopened(pipeline: Pipeline, tasks: Iterable[Task]) -> dict[str, Task]:
    """The rows that change, by id; none where nothing was ever begun, so that the run may begin from the start.

    Args:
        pipeline: What the run runs.
        tasks: All its rows. The run is over, and did not succeed.
    """
    return _Reopening(pipeline, tasks).rows()


class _Reopening:
    def __init__(self, pipeline: Pipeline, tasks: Iterable[Task]) -> None:
        self._pipeline = pipeline
        self._tasks = {task.id: task for task in tasks}
        self._children: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            if task.parent is not None:
                self._children.setdefault(task.parent, []).append(task)
        self._changed: dict[str, Task] = {}

    def rows(self) -> dict[str, Task]:
        root = self._tasks.get("")
        if root is not None and self._children.get(""):
            self._open(root)
        return self._changed

    def _open(self, row: Task) -> None:
        """Let a DAG or a loop run again, with all in it that did not succeed."""
        self._changed[row.id] = replace(row, state=State.RUNNING, waiting=None, failure=None, outputs=None, finished_at=None)
        if row.kind is Kind.LOOP:
            for iteration in self._children.get(row.id, []):
                self._again(iteration)
        else:
            self._open_tasks(row)

    def _open_tasks(self, row: Task) -> None:
        nodes = graph(self._pipeline, row.component).nodes
        prefix = f"{row.id}." if row.id else ""
        again = [position for position, node in enumerate(nodes) if self._again(self._tasks[prefix + node.name])]
        known = set(again)
        while again:  # what follows a task that is done again was decided, or done, on what is no longer so
            for position in nodes[again.pop()].dependents:
                task = self._tasks[prefix + nodes[position].name]
                if position not in known and (task.kind in _LEAVES or task.state is State.SKIPPED):
                    self._wait_again(task)
                    known.add(position)
                    again.append(position)

    def _again(self, task: Task) -> bool:
        """Do a task again, if it did not succeed; says whether."""
        if task.state.succeeded:
            return False
        if task.state is State.SKIPPED:
            if task.failure is not None and task.failure.reason == "ConditionFalse":
                return False
            self._wait_again(task)
        elif task.kind in _LEAVES and task.inputs is not None:
            self._changed[task.id] = _next_try(task, Waiting.START)
        elif task.kind not in _LEAVES and (task.id in self._children or task.iterations is not None):
            self._open(task)
        elif task.iteration is None:
            self._wait_again(task)
        else:  # an item that does not fit: it never will, and neither will the loop
            self._blame(task)
        return True

    def _wait_again(self, task: Task) -> None:
        self._changed[task.id] = replace(_next_try(task, Waiting.UPSTREAM), inputs=None, cache_key="")

    def _blame(self, task: Task) -> None:
        """Keep a failure that no second try can mend, on everything around it."""
        above = task.parent
        while above is not None:
            row = self._changed[above]
            if row.failure is None:
                self._changed[above] = replace(row, failure=task.failure)
            above = row.parent


def _next_try(task: Task, waiting: Waiting) -> Task:
    """A step whose retries are whole again: earlier attempts count as nobody's fault."""
    attempt = task.attempt + 1 if task.inputs is not None and task.kind in _LEAVES else task.attempt
    return replace(
        task,
        state=State.PENDING,
        waiting=waiting,
        attempt=attempt,
        infra_failures=attempt,
        outputs=None,
        failure=None,
        retry_at=None,
        cached_from="",
        started_at=None,
        finished_at=None,
    )
