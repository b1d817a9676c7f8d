"""``kedge logs``."""

import threading
from collections.abc import Iterable, Iterator

import click

from kedge.cli.follow import changes
from kedge.cli.session import connect
from kedge.display.tasks import LIVE, TaskView
from kedge.errors import KedgeError, NotFound
from kedge.pipelines.client import Client

_WITHOUT_LOG = frozenset({"PENDING", "SKIPPED", "CACHED"})
_AT_ONCE = 32  # logs that are followed at the same time


def _order(step: TaskView) -> tuple[str, str]:
    return str(step.started or step.finished or ""), step.id


@click.command("logs")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the step, or the run, ends. Ctrl-C stops only the looking on.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which try of the step; the last when not given.")
def command(*, run: str, task: str | None, follow: bool, attempt: int | None) -> None:
    """Print what the steps of a run wrote.

    Without TASK, every step that started is printed, one after another, each line after the step's name; with --follow, all
    steps until the run is over, each line as it is written.
    """
    client = connect().client
    run_id = str(client.get(run)["run_id"])
    if task is None and follow:
        _follow_all(client, run_id)
        return
    tasks = [TaskView.from_json(body) for body in client.tasks(run_id)]
    if task is None:
        steps = sorted((t for t in tasks if t.kind == "step" and t.state not in _WITHOUT_LOG), key=_order)
        for step in steps:
            _print(step.id, client.logs(run_id, step.id))
        return
    found = next((known for known in tasks if known.id == task), None)
    if found is None:
        near = ", ".join(
            known.id for known in tasks if known.is_step and (known.name == task or known.id.endswith(task))
        ) or ", ".join(known.id for known in tasks if known.is_step)
        raise NotFound(f"Run {run_id} has no task {task!r}. It has: {near}.")
    if attempt is not None and not follow and attempt > found.attempt + 1:
        raise NotFound(f"{task} has been tried {found.attempt + 1} times: it has no attempt {attempt}.")
    number = None if attempt is None else attempt - 1
    lines = (
        _following(client, run_id, found)
        if follow and number is None
        else client.logs(run_id, task, follow=follow, attempt=number)
    )
    for line in lines:
        click.echo(line)


def _print(step: str, lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"{click.style(step, fg='cyan')} | {line}")


def _following(client: Client, run_id: str, step: TaskView) -> Iterator[str]:
    """What a step writes until it ends, over all tries from the present one on."""
    number = step.attempt
    while True:
        yield from client.logs(run_id, step.id, follow=True, attempt=number)
        number += 1
        # Asked for a try that never comes, the host answers when the step is over.
        now = TaskView.from_json(client.task(run_id, step.id))
        if now.state not in LIVE and now.attempt < number:
            return


def _follow_all(client: Client, run_id: str) -> None:
    """Print what all steps write, each in a thread, until the run is over."""
    slots = threading.BoundedSemaphore(_AT_ONCE)

    def show(step: TaskView) -> None:
        with slots:
            try:
                _print(step.id, _following(client, run_id, step))
            except KedgeError as error:
                click.echo(f"kedge: the log of {step.id} broke off: {error}", err=True)

    threads: dict[str, threading.Thread] = {}
    for change in changes(client, run_id):
        if "run" in change:
            break
        step = TaskView.from_json(change)
        if step.kind == "step" and step.state not in _WITHOUT_LOG and step.id not in threads:
            # Not waited for when the command is interrupted.
            threads[step.id] = threading.Thread(target=show, args=(step,), daemon=True)
            threads[step.id].start()
    for thread in threads.values():
        thread.join()
