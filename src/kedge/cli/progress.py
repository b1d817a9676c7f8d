"""Live progress of a run: a tree that redraws itself on a terminal, one line a change everywhere else."""

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from kedge.display.tasks import LIVE, Line, TaskView, counts, duration, first_line, tree
from kedge.kube.clock import Clock, SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

_MARKS = {"SUCCEEDED": "✓", "CACHED": "↻", "RUNNING": "●", "FAILED": "✗", "SKIPPED": "-", "CANCELED": "■", "PENDING": "○"}
_STYLES = {
    "SUCCEEDED": "green",
    "CACHED": "magenta",
    "RUNNING": "blue",
    "FAILED": "red",
    "SKIPPED": "dim",
    "CANCELED": "yellow",
    "PENDING": "dim",
}
_NAME_COLUMN = 34
_NUMBERS = 2 + 10 + 11  # columns of a line beside its name: the mark, the state, the time


class Progress(Protocol):
    """Shows a run while it runs. A context manager: what it drew stays when it is left."""

    def update(self, task: TaskView) -> None:
        """Take the newest version of a task."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def progress(title: str, *, clock: Clock | None = None, stderr: bool = False, reopened: datetime | None = None) -> Progress:
    """Choose how to show a run: as a live tree on a terminal, as lines otherwise.

    Args:
        title: Stands above the tree.
        clock: For durations.
        stderr: Show it there, because standard output belongs to a script.
        reopened: When the run ended, if it goes on now; steps that were over by then are no news.
    """
    stream = sys.stderr if stderr else sys.stdout
    clock = clock or SystemClock()
    if stream.isatty() and not stderr:
        return LiveTree(title, clock)
    return PlainLines(clock, stderr=stderr, reopened=reopened)


class PlainLines:
    """One line for every step that starts, ends or waits to be tried again. For logs, pipes and dumb terminals."""

    def __init__(self, clock: Clock, *, stderr: bool = False, reopened: datetime | None = None) -> None:
        self._clock = clock
        self._stderr = stderr
        self._reopened = reopened
        self._told: dict[str, tuple[str, int, str]] = {}

    def update(self, task: TaskView) -> None:
        """Print a line when the task's state or attempt is a new one and worth telling."""
        # That one fewer waits before it is worth no line of its own.
        now = (task.state, task.attempt, re.sub(r"\d+", "", task.waiting_reason))
        before = self._told.get(task.id)
        self._told[task.id] = now
        if not task.is_step or now == before or (task.state == "PENDING" and not task.attempt and not task.waiting_reason):
            return
        if task.finished is not None and self._reopened is not None and task.finished <= self._reopened:
            return  # kept, which was said when the run was opened again
        # A step that had ended before anybody looked did not end now.
        moment = task.finished if before is None and task.finished is not None else self._clock.now()
        parts = [f"{moment:%H:%M:%S}", f"{task.state:<9}", task.id]
        if task.title:
            parts.append(f"({task.title})")
        if task.attempt:
            parts.append(f"(attempt {task.attempt + 1})")
        if task.state not in LIVE and task.state != "SKIPPED" and (took := duration(task.seconds(self._clock.now()))):
            parts.append(f"in {took}")
        if task.waiting_reason:
            parts.append(f"- {first_line(task.waiting_reason)}")
        elif task.message and task.state in {"FAILED", "PENDING"}:
            parts.append(f"- {first_line(task.message)}")
        click.echo("  ".join(parts), err=self._stderr)

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to clear away."""


class LiveTree:
    """The tree of tasks, redrawn in place a few times a second from whatever is known then."""

    def __init__(self, title: str, clock: Clock) -> None:
        # rich is wanted only on a terminal, and takes 100 ms to load.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._title = title
        self._clock = clock
        self._tasks: dict[str, TaskView] = {}
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=8, vertical_overflow="crop")

    def update(self, task: TaskView) -> None:
        """Take the newest version of a task; the next redraw shows it."""
        self._tasks[task.id] = task

    def __enter__(self) -> Self:
        """Start to draw."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Draw for the last time and leave the cursor below."""
        self._live.stop()

    def _render(self) -> "RenderableType":
        from rich.text import Text  # noqa: PLC0415

        tasks = list(self._tasks.values())  # one moment of it: another thread adds to it
        now = self._clock.now()
        text = Text(self._title, style="bold", no_wrap=True, overflow="ellipsis")
        width = self._console.width
        root = self._tasks.get("")
        states: dict[str, int] = {}
        for task in tasks:
            if task.is_step:
                states[task.state] = states.get(task.state, 0) + 1
        summary = "  ".join(part for part in (counts(states), duration(root.seconds(now)) if root else "") if part)
        wide = len(self._title) + 3 + len(summary) <= width
        text.append(f"   {summary}" if wide else f"\n{summary}", style="not bold dim")
        told = _told_in_full(tasks, width)
        for line in tree(tasks, room=max(5, self._console.height - 4 - len(told))):
            text.append("\n")
            text.append_text(_draw(line, Text(), width, duration(line.task.seconds(now)) if line.task else ""))
        text.append("".join(f"\n{line}" for line in told), style="not bold yellow")
        return text


def _told_in_full(tasks: Iterable[TaskView], width: int) -> list[str]:
    """Why the first step waits whose reason is too long for its own line: lines below the tree."""
    for task in tasks:
        if task.state == "PENDING" and len(task.waiting_reason) > width - _NAME_COLUMN:
            return textwrap.wrap(f"{task.id}: {first_line(task.waiting_reason)}", width)
    return []


def print_tree(tasks: Iterable[TaskView], *, clock: Clock | None = None) -> None:
    """Print the tree of tasks once, as it is now."""
    now = (clock or SystemClock()).now()
    for line in tree(tasks, room=1_000):
        if line.task is None:
            click.echo(line.guides + line.label)
            continue
        state, space = line.task.state, max(8, _NAME_COLUMN - len(line.guides))
        took = duration(line.task.seconds(now))
        text = f"{line.guides}{_MARKS.get(state, '?')} {line.label:<{space}}{state.lower():<10}{took:>11}  {line.detail}"
        click.echo(text.rstrip())


def _draw(line: Line, text: "Text", width: int, took: str) -> "Text":
    text.append(line.guides, style="not bold dim")
    if line.task is None:
        return text.append(line.label, style="not bold dim")
    state = line.task.state
    style = _STYLES.get(state, "")
    text.append(f"{_MARKS.get(state, '?')} ", style=f"not bold {style}")
    # On a narrow terminal names give way to states and times.
    space = max(8, min(_NAME_COLUMN, width - _NUMBERS) - len(line.guides))
    text.append(f"{line.label:<{space}}", style="not bold")
    text.append(f"{state.lower():<10}", style=f"not bold {style}")
    text.append(f"{took:>11}", style="not bold")
    if line.detail:
        text.append(f"  {line.detail}", style="not bold dim" if state != "FAILED" else "not bold red")
    text.truncate(width, overflow="ellipsis")
    return text


if TYPE_CHECKING:
    from rich.text import Text

    _plain: type[Progress] = PlainLines
    _tree: type[Progress] = LiveTree
    _states: Mapping[str, str] = _STYLES
