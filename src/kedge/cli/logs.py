"""``kedge logs``."""

import click

from kedge.cli.session import connect
from kedge.display.tasks import TaskView
from kedge.errors import NotFound


def _order(step: TaskView) -> tuple[str, str]:
    return str(step.started or step.finished or ""), step.id


@click.command("logs")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the step ends. Ctrl-C stops only the looking on.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which try of the step; the last when not given.")
def command(*, run: str, task: str | None, follow: bool, attempt: int | None) -> None:
    """Print what the steps of a run wrote.

    Without TASK, every step that started is printed, one after another, each line after the step's name.
    """
    client = connect().client
    run_id = str(client.get(run)["run_id"])
    tasks = [TaskView.from_json(body) for body in client.tasks(run_id)]
    if task is None:
        steps = sorted((t for t in tasks if t.kind == "step" and t.state not in {"PENDING", "SKIPPED", "CACHED"}), key=_order)
        for step in steps:
            for line in client.logs(run_id, step.id, follow=follow):
                click.echo(f"{click.style(step.id, fg='cyan')} | {line}")
        return
    if task not in {known.id for known in tasks}:
        near = ", ".join(
            known.id for known in tasks if known.is_step and (known.name == task or known.id.endswith(task))
        ) or ", ".join(known.id for known in tasks if known.is_step)
        raise NotFound(f"Run {run_id} has no task {task!r}. It has: {near}.")
    for line in client.logs(run_id, task, follow=follow, attempt=None if attempt is None else attempt - 1):
        click.echo(line)
