"""Tasks as the REST API tells them, and the tree they form.

A loop of a thousand items must fit on a screen: what is over and went well is folded into its parent's counts, what runs or
failed is shown, and no more lines are made than there is room for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kedge.kube.clock import parse_timestamp

LIVE = frozenset({"PENDING", "RUNNING"})
GOOD = frozenset({"SUCCEEDED", "CACHED"})
# What a step that is about to run waits for; the first time, its environment is installed then.
_WAITING = {"start": "starting", "retry": "waits to be tried again"}
# Room for why a step waits: it ends with what would help.
WHOLE = 400
# The order in which counts are told.
STATES = ("FAILED", "RUNNING", "PENDING", "SUCCEEDED", "CACHED", "SKIPPED", "CANCELED")


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of a run.

    Attributes:
        id: Dotted path; ``""`` is the root.
        name: Its last part.
        parent: Id of the DAG or loop it is in; ``None`` for the root.
        kind: ``dag``, ``loop``, ``step`` or ``importer``.
        state: In Kubeflow's words.
        waiting: What it waits for while ``PENDING``: ``upstream``, ``cache``, ``start`` or ``retry``.
        waiting_reason: Why it does not run yet, in plain words, or ``""``.
        attempt: Number of the current try, from 0.
        iterations: How many items, for loops.
        started: When it began, if it did.
        finished: When it was over, if it is.
        message: Why it did not succeed, or ``""``.
        failure_kind: ``user``, ``infra``, ``upstream``, ``canceled`` or ``""``.
        failure_task: Id of the task where the failure happened, on DAGs.
        outputs: ``{"parameters": {…}, "artifacts": {name: [artifact]}}``.
        title: What people call it, where that is not its name.
    """

    id: str
    name: str
    parent: str | None
    kind: str = "step"
    state: str = "PENDING"
    waiting: str = ""
    waiting_reason: str = ""
    attempt: int = 0
    iterations: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    message: str = ""
    failure_kind: str = ""
    failure_task: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    title: str = ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "TaskView":
        """Read a task of ``GET /runs/{id}/tasks``."""
        failure: Mapping[str, Any] = body.get("failure") or {}
        identity = str(body.get("id", ""))
        name, title = str(body.get("name") or identity.rpartition(".")[2]), str(body.get("display_name") or "")
        return cls(
            id=identity,
            name=name,
            parent=body.get("parent"),
            kind=str(body.get("kind", "step")),
            state=str(body.get("state", "PENDING")),
            waiting=str(body.get("waiting") or ""),
            waiting_reason=str(body.get("waiting_reason") or ""),
            attempt=int(body.get("attempt", 0)),
            iterations=body.get("iterations"),
            started=_time(body.get("started_at")),
            finished=_time(body.get("finished_at")),
            message=str(failure.get("message", "")),
            failure_kind=str(failure.get("kind", "")),
            failure_task=str(failure.get("task", "")),
            outputs=body.get("outputs") or {},
            title=title if title != name else "",
        )

    @property
    def label(self) -> str:
        """What people call it, with the name that commands take where that is another."""
        return f"{self.title} ({self.name})" if self.title else self.name

    @property
    def is_step(self) -> bool:
        """Whether it runs something itself."""
        return self.kind in {"step", "importer"}

    def seconds(self, now: datetime) -> float | None:
        """How long it ran or has been running, or ``None`` when it has not begun."""
        if self.started is None or (self.finished is None and self.state not in LIVE):
            return None
        return max(0.0, ((self.finished or now) - self.started).total_seconds())


def _time(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree.

    Attributes:
        guides: The branches drawn before the name, such as ``│  └─ ``.
        task: The task; ``None`` on a line that only says that more is there.
        label: The task's name as people read it.
        detail: Counts of what is folded, ``attempt 2``, or why it failed.
    """

    guides: str
    task: TaskView | None
    label: str
    detail: str


def tree(tasks: Iterable[TaskView], *, room: int = 40) -> list[Line]:
    """Lay out the tasks of a run.

    Args:
        tasks: All that are known, in any order; the root is not shown itself.
        room: Lines there is room for. When all do not fit, loops that went well so far are folded first, then whatever is over.

    Returns:
        At most ``room`` lines, top to bottom.
    """
    children: dict[str | None, list[TaskView]] = {}
    for task in tasks:
        children.setdefault(task.parent, []).append(task)
    for siblings in children.values():
        siblings.sort(key=_order)
    lines = list(_lines(children, "", "", 0))
    for fold in range(1, 4):
        if len(lines) <= room:
            return lines
        lines = list(_lines(children, "", "", fold))
    if len(lines) <= room:
        return lines
    hidden = len(lines) - room + 1
    return [*lines[: room - 1], Line("", None, f"… and {hidden} more", "")]


def _order(task: TaskView) -> tuple[float, tuple[int, str]]:
    first = task.started or task.finished
    began = first.timestamp() if first else float("inf")
    if task.name.isdigit():
        return 0.0, (int(task.name), "")
    return began, (0, task.name)


def _lines(children: Mapping[str | None, list[TaskView]], parent: str, guides: str, fold: int) -> Iterable[Line]:
    shown = [task for task in children.get(parent, ()) if not _hidden(task, fold)]
    folded = Counter(task.state for task in children.get(parent, ()) if _hidden(task, fold))
    rows: list[TaskView | None] = [*shown, *([None] if folded and fold >= 3 else [])]
    for position, task in enumerate(rows):
        last = position == len(rows) - 1
        branch = guides + ("└─ " if last else "├─ ")
        if task is None:
            yield Line(branch, None, counts(folded), "")
            continue
        below = children.get(task.id, [])
        if task.name.isdigit() and len(below) == 1 and below[0].is_step:
            yield Line(branch, below[0], f"{_label(task)} {below[0].label}", _detail(below[0], []))
            continue
        yield Line(branch, task, _label(task), _detail(task, below))
        if below and not (fold >= 2 and task.state not in LIVE and task.state != "FAILED"):
            yield from _lines(children, task.id, guides + ("   " if last else "│  "), fold)


def _hidden(task: TaskView, fold: int) -> bool:
    iteration = task.name.isdigit()
    if fold >= 1 and iteration and task.state in GOOD | {"SKIPPED"}:
        return True
    if fold >= 2 and iteration and task.state == "PENDING":
        return True
    return fold >= 3 and task.state not in {"RUNNING", "FAILED"}


def _label(task: TaskView) -> str:
    return f"[{task.name}]" if task.name.isdigit() else task.label


def _detail(task: TaskView, below: list[TaskView]) -> str:
    parts: list[str] = []
    if task.kind == "loop" and task.iterations is not None:
        over = sum(child.state not in LIVE for child in below)
        failed = sum(child.state == "FAILED" for child in below)
        parts.append(f"{over}/{task.iterations}" + (f", {failed} failed" if failed else ""))
    if task.state == "PENDING" and task.waiting in _WAITING:
        parts.append(first_line(task.waiting_reason) or _WAITING[task.waiting])
    elif task.waiting_reason:  # of one that runs, and is about to be lost
        parts.append(first_line(task.waiting_reason))
    if task.attempt:
        parts.append(f"attempt {task.attempt + 1}")
    if task.message and task.is_step and (task.state == "FAILED" or (task.state == "PENDING" and not task.waiting_reason)):
        parts.append(first_line(task.message))
    return " · ".join(parts)


def first_line(text: str) -> str:
    """The first line of a text, cut to `WHOLE`."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= WHOLE else line[: WHOLE - 1] + "…"


def counts(states: Mapping[str, int]) -> str:
    """Say how many tasks are in which state.

    Examples:
        >>> counts({"SUCCEEDED": 12, "RUNNING": 2})
        '2 running, 12 succeeded'
    """
    return ", ".join(f"{states[state]} {state.lower()}" for state in STATES if states.get(state))


def duration(seconds: float | None) -> str:
    """Write a duration as people read it.

    Examples:
        >>> [duration(s) for s in (None, 0.0421, 3.14159, 75, 7384, 400000)]
        ['', '42 ms', '3.1 s', '1 min 15 s', '2 h 3 min', '4 d 15 h']
    """
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
