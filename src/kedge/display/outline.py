"""The tasks of a run as rows of a tree, for tables and timelines: groups and loops fold, and say how what is in them stands."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kedge.display.folding import Folding

# Iterations that a loop shows by itself.
_FEW = 10
Task = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        task: As REST shows it.
        depth: From 0.
        label: What people call it; ``[3]`` for an iteration.
        is_open: Whether what is in it follows; ``None`` where there is nothing in it.
        counts: How many of what is in it are in which state: of a loop its iterations, of a group its steps.
        toggled: The folding that opens or closes it.
    """

    task: Task
    depth: int
    label: str
    is_open: bool | None = None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    toggled: Folding = field(default_factory=Folding)


def outline(tasks: Iterable[Task], folding: Folding) -> list[Row]:
    """Lay out the tasks of a run, without its root.

    Args:
        tasks: All of them, in any order.
        folding: What is opened or closed. By itself a group is open, and so is a loop of up to ten iterations.
    """
    children: dict[str, list[Task]] = {}
    for task in tasks:
        if task.get("parent") is not None:
            children.setdefault(task["parent"], []).append(task)
    for siblings in children.values():
        siblings.sort(key=_order)
    return list(_rows(children, "", 0, folding))


def _rows(children: Mapping[str, list[Task]], parent: str, depth: int, folding: Folding) -> Iterator[Row]:
    for task in children.get(parent, ()):
        path, below = str(task["id"]), children.get(str(task["id"]), [])
        if is_iteration(task) and len(below) == 1 and is_step(below[0]):
            yield Row(below[0], depth, f"[{task['name']}] {label(below[0])}")
            continue
        if not below:
            yield Row(task, depth, label(task))
            continue
        is_loop = task["kind"] == "loop"
        is_open = folding.is_open(path, default=not is_loop or len(below) <= _FEW)
        inside = below if is_loop else _steps(children, path)
        counts = Counter(str(each["state"]) for each in inside)
        yield Row(task, depth, label(task), is_open, counts, folding.toggled(path, is_open=is_open))
        if is_open:
            yield from _rows(children, path, depth + 1, folding)


def _steps(children: Mapping[str, list[Task]], parent: str) -> Iterator[Task]:
    for task in children.get(parent, ()):
        if is_step(task):
            yield task
        yield from _steps(children, str(task["id"]))


def label(task: Task) -> str:
    """What people call a task."""
    return f"[{task['name']}]" if is_iteration(task) else str(task.get("display_name") or task["name"])


def is_step(task: Task) -> bool:
    """Whether it runs something itself."""
    return task["kind"] in {"step", "importer"}


def is_iteration(task: Task) -> bool:
    """Whether it is one turn of a loop."""
    return "iteration_index" in task


def _order(task: Task) -> tuple[int, str, str]:
    if is_iteration(task):
        return int(task["iteration_index"]), "", ""
    began = task.get("start_time") or task.get("end_time")
    return 0 if began else 1, str(began or task.get("create_time") or ""), str(task["id"])
