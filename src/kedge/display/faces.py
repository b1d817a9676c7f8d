"""What a box of a run's graph says: its state, and one short line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kedge.display.graph import Box
from kedge.display.tasks import GOOD, LIVE, TaskView, counts, duration, first_line

WORST_FIRST = ("FAILED", "RUNNING", "CANCELED", "PENDING", "SUCCEEDED", "CACHED", "SKIPPED")
_WAITS = {"start": "starting", "retry": "waits for its next try", "cache": "asks the cache"}


@dataclass(frozen=True, slots=True)
class Face:
    """What a box says.

    Attributes:
        state: In Kubeflow's words.
        detail: One short line.
        more: What there is no room for.
    """

    state: str
    detail: str
    more: str = ""

    def said(self, label: str) -> str:
        """All of it, for who does not see the box: begins with what is seen.

        Args:
            label: As it is seen.
        """
        state = self.state.lower()
        words = f"{label} {self.detail}" if self.detail else label
        return words + ("" if state in self.detail else f": {state}") + (f". {self.more}" if self.more else "")


class Faces:
    """The tasks of a run, and what their boxes say.

    Args:
        tasks: As REST shows them.
    """

    def __init__(self, tasks: Iterable[Mapping[str, Any]] = ()) -> None:
        self._tasks: dict[str, TaskView] = {}
        self._inside: dict[str, Counter[str]] = {}
        self.take(tasks)

    def take(self, tasks: Iterable[Mapping[str, Any]]) -> None:
        """Tasks that are new, or have changed."""
        self._tasks.update((view.id, view) for view in map(TaskView.from_json, tasks))
        self._inside = {}
        for view in self._tasks.values():
            outer = self._tasks.get(view.parent) if view.parent else None
            if outer is not None and outer.kind == "loop":
                self._count(outer.id, view.state)
            if view.is_step:
                for path in above(view.id):
                    if (group := self._tasks.get(path)) is None or group.kind != "loop":
                        self._count(path, view.state)

    def _count(self, path: str, state: str) -> None:
        self._inside.setdefault(path, Counter())[state] += 1

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return len(self._tasks)

    @property
    def running(self) -> list[str]:
        """Of what says how long it has been running."""
        return [path for path, view in self._tasks.items() if view.state == "RUNNING" and path]

    def of(self, path: str, now: datetime) -> Face:
        """What the box of a task says, also of a group or a loop."""
        view, inside = self._tasks.get(path), self._inside.get(path)
        if view is None:
            around = next((self._tasks[each] for each in above(path) if each in self._tasks), None)
            is_over = around is not None and around.state not in LIVE
            return Face("SKIPPED", "did not run") if is_over else Face("PENDING", "")
        detail = _detail(view, now) if inside is None else _standing(inside, view.iterations)
        return Face(view.state, detail, first_line(view.message) if view.state == "FAILED" else "")

    def of_box(self, box: Box, now: datetime) -> Face:
        """What a box says; a bundle is no task."""
        if box.kind != "bundle":
            return self.of(box.path, now)
        states: Counter[str] = Counter()
        for path in box.tasks:
            view = self._tasks.get(path)
            states.update(self._inside.get(path) or {view.state if view is not None else "PENDING": 1})
        state = next((each for each in WORST_FIRST if states[each]), "PENDING")
        return Face(state, _standing(states, None), counts(states))


def above(path: str) -> Iterator[str]:
    """The ids of what a task is in, from the inside out.

    Examples:
        >>> list(above("for-loop-1.3.train"))
        ['for-loop-1.3', 'for-loop-1']
    """
    while path:
        path = path.rpartition(".")[0]
        if path:
            yield path


def _detail(view: TaskView, now: datetime) -> str:
    again = f" · attempt {view.attempt + 1}" if view.attempt else ""
    if view.state == "PENDING":
        return _WAITS[view.waiting] if view.waiting == "retry" else _WAITS.get(view.waiting, "waits") + again
    if view.state == "CACHED":
        return "from the cache"
    if view.state not in GOOD and view.state not in {"RUNNING", "FAILED"}:
        return view.state.lower()
    took = duration(view.seconds(now))
    if view.state == "FAILED" and took:
        return f"failed{again}" if again else f"failed after {took}"  # a box has room for some 25 letters
    return f"{took}{again}" if took else view.state.lower()


def _standing(inside: Mapping[str, int], total: int | None) -> str:
    """How what is in it stands."""
    count = max(total or 0, sum(inside.values()))
    over = sum(number for state, number in inside.items() if state not in LIVE)
    failed, running = inside.get("FAILED", 0), inside.get("RUNNING", 0)
    if failed:
        return f"{over} of {count} · {failed} failed"
    if over == count and len([number for number in inside.values() if number]) == 1:
        return counts(inside)
    return f"{over} of {count}" + (f" · {running} running" if running else " over")
