"""What a finished run leaves on the screen: outputs, metrics, confusion matrices, and where its files lie; or why it failed."""

from collections.abc import Iterable, Sequence

import click

from kedge.display.results import Matrix, Results, number
from kedge.display.tasks import TaskView

_LOG_LINES = 15


def print_results(results: Results) -> None:
    """Print outputs, metrics, matrices and files, each under its heading; nothing where there is nothing."""
    if results.outputs:
        click.echo("\n" + click.style("Outputs", bold=True))
        width = max(len(name) for name, _ in results.outputs)
        for name, text in results.outputs:
            click.echo(f"  {name:<{width}}  {click.style(text, fg='cyan')}")
    if results.metrics:
        click.echo("\n" + click.style("Metrics", bold=True))
        width = max(len(title) for title, _ in results.metrics)
        for title, value in results.metrics:
            click.echo(f"  {title:<{width}}  {click.style(number(value), fg='cyan')}")
    for matrix in results.matrices:
        click.echo("\n" + click.style("Confusion matrix", bold=True) + f"  ({matrix.title}; rows: true, columns: predicted)")
        for line in draw_matrix(matrix):
            click.echo(line)
    if results.files:
        click.echo("\n" + click.style("Files", bold=True))
        for file in results.files:
            click.echo(f"  {file.type:<9} {file.title}\n            {click.style(file.where, fg='cyan')}")


def draw_matrix(matrix: Matrix) -> list[str]:
    """Draw a confusion matrix as a table, with its diagonal set off where colours are shown."""
    cells = [[number(value) for value in row] for row in matrix.rows]
    left = max(len(label) for label in matrix.labels)
    widths = [max(len(matrix.labels[c]), *(len(row[c]) for row in cells)) for c in range(len(matrix.labels))]

    def rule(start: str, middle: str, end: str) -> str:
        return f"  {' ' * left} {start}{middle.join('─' * (width + 2) for width in widths)}{end}"

    lines = [f"  {' ' * left}   " + "   ".join(label.rjust(width) for label, width in zip(matrix.labels, widths, strict=True))]
    lines.append(rule("┌", "┬", "┐"))
    for index, row in enumerate(cells):
        drawn = " │ ".join(
            click.style(cell.rjust(width), fg="green", bold=True) if index == column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"  {matrix.labels[index].rjust(left)} │ {drawn} │")
    return [*lines, rule("└", "┴", "┘")]


def failed_step(tasks: Iterable[TaskView]) -> TaskView | None:
    """The step to blame: the first that failed for a reason of its own."""
    failed = [task for task in tasks if task.is_step and task.state == "FAILED" and task.failure_kind != "upstream"]
    return min(failed, key=lambda task: task.finished.timestamp() if task.finished else 0.0, default=None)


def told(message: str, log: Sequence[str]) -> str:
    """A failure's message, without the traceback when the log shows it too."""
    message = message.strip()
    return message.partition("\nTraceback (")[0].rstrip() if any(line.startswith("Traceback (") for line in log) else message


def print_failure(run_id: str, task: TaskView, log: Sequence[str]) -> None:
    """Say on standard error which step failed, why, and the last lines it wrote."""
    click.echo(err=True)
    click.echo(
        click.style(f"{task.id} failed", fg="red", bold=True) + (f" (attempt {task.attempt + 1})" if task.attempt else ""),
        err=True,
    )
    for line in told(task.message, log).splitlines():
        click.echo(f"  {line}", err=True)
    if log:
        click.echo(f"The last lines of its log (`kedge logs {run_id} {task.id}` prints all):", err=True)
        for line in log[-_LOG_LINES:]:
            click.echo(f"  | {line}", err=True)
