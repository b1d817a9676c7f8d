"""``kedge logs``."""

import queue
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from kedge.cli.follow import changes
from kedge.cli.options import TimeSpan, ago
from kedge.cli.session import connect
from kedge.display.tasks import TaskView
from kedge.errors import KedgeError, NotFound
from kedge.pipelines.client import Client
from kedge.pipelines.step_log import LogPart

_NOT_BEGUN = frozenset({"PENDING", "SKIPPED", "CACHED"})
_AT_ONCE = 50  # logs that are followed at the same time; further ones wait for their turn and are read from their beginning
_WAITING_LINES = 10_000


def _order(step: TaskView) -> tuple[str, str]:
    return str(step.started or step.finished or ""), step.id


@click.command("logs")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the step ends, retries too. Ctrl-C stops only the looking on.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which try of the step; the last when not given.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last so many lines of each step.")
@click.option("--since", type=TimeSpan(), help="Only lines not older than this, such as 90s or 5m.")
@click.option("--timestamps", is_flag=True, help="Begin each line with the time it was written.")
def command(*, run: str, task: str | None, follow: bool, attempt: int | None, since: int | None, **part: Any) -> None:
    """Print what the steps of a run wrote.

    Without TASK, every step that started is printed, one after another, each line after the step's name; with --follow as they
    come, also of steps that start later. Lines are printed byte for byte; where a step is tried again, a line on standard error
    says so.
    """
    client = connect().client
    part["since"] = "" if since is None else ago(since)
    run_id = str(client.get(run)["run_id"])
    if task is None and follow:
        _Together(client, run_id, LogPart(**part)).print()
        return
    tasks = [TaskView.from_json(body) for body in client.tasks(run_id)]
    wanted = LogPart(**part, retried=partial(_say, task or ""))
    if task is None:
        for step in sorted((t for t in tasks if t.kind == "step" and t.state not in _NOT_BEGUN), key=_order):
            for line in client.log_lines(run_id, step.id, part=wanted):
                _print(step.id, line)
        return
    found = next((known for known in tasks if known.id == task), None)
    if found is None:
        near = ", ".join(
            known.id for known in tasks if known.is_step and (known.name == task or known.id.endswith(task))
        ) or ", ".join(known.id for known in tasks if known.is_step)
        raise NotFound(f"Run {run_id} has no task {task!r}. It has: {near}.")
    if attempt is not None and not follow and attempt > found.attempt + 1:
        raise NotFound(f"{task} has been tried {found.attempt + 1} times: it has no attempt {attempt}.")
    for line in client.log_lines(run_id, task, follow=follow, attempt=None if attempt is None else attempt - 1, part=wanted):
        click.echo(line)


def _say(step: str, attempt: int) -> None:
    click.echo(f"--- {step}: attempt {attempt + 1} ---", err=True)


def _print(step: str, line: bytes) -> None:
    name = click.style(step, fg="cyan") if sys.stdout.isatty() else step
    click.echo(name.encode() + b" | " + line)


class _Together:
    """The logs of all steps of a run at the same time.

    Args:
        client: Of the host.
        run_id: The run.
        part: What part of each log.
    """

    def __init__(self, client: Client, run_id: str, part: LogPart) -> None:
        self._client = client
        self._run_id = run_id
        self._part = part
        # What threads have for the one that prints: a step and a line, an attempt that begins, or an error.
        self._found: queue.Queue[tuple[str, bytes | int | KedgeError | None]] = queue.Queue(_WAITING_LINES)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def print(self) -> None:
        """Print until the run is over and every log is at its end.

        Raises:
            KedgeError: The run can no longer be followed.
        """
        self._start("", self._find)
        left = 1
        while left:
            step, found = self._found.get()
            if isinstance(found, KedgeError):
                if not step:
                    raise found
                click.echo(f"kedge: the log of {step} broke off: {found}", err=True)
            elif isinstance(found, bytes):
                _print(step, found)
            elif found is None:
                left -= 1
            elif found < 0:
                left += 1
            else:
                _say(step, found)

    def _find(self) -> None:
        """Follow each step that has begun."""
        known = set[str]()
        for change in changes(self._client, self._run_id):
            if "run" in change:
                return
            step = TaskView.from_json(change)
            if step.kind == "step" and step.state not in _NOT_BEGUN and step.id not in known:
                known.add(step.id)
                self._found.put((step.id, -1))
                self._start(step.id, partial(self._read, step.id))

    def _read(self, step: str) -> None:
        part = LogPart(self._part.tail, self._part.since, self._part.timestamps, lambda attempt: self._found.put((step, attempt)))
        with self._turns:
            for line in self._client.log_lines(self._run_id, step, follow=True, part=part):
                self._found.put((step, line))

    def _start(self, step: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except KedgeError as error:
                self._found.put((step, error))
            finally:
                self._found.put((step, None))

        # A daemon: Ctrl-C ends the looking on, not what is looked at.
        threading.Thread(target=run, name=f"log of {step}", daemon=True).start()
