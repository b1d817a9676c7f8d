"""``kedge runs metrics``: what the steps of a run have measured, also while they run."""

import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from kedge.cli.options import print_json, print_table
from kedge.cli.session import connect

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 32
_MOST = 100_000  # points of a series that are asked for where all are wanted


@click.command("metrics")
@click.argument("run")
@click.option("--name", default="", metavar="METRIC", help="This metric alone.")
@click.option("--task", default="", metavar="ID", help="Of this task alone.")
@click.option(
    "--attempt",
    type=click.IntRange(0),
    default=None,
    help="What this try logged, from 0; the last that logged any when left out.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="json and csv hold every point of every series, up to 100,000 of each.",
)
def metrics(*, run: str, name: str, task: str, attempt: int | None, output: str) -> None:
    """Show the metrics of a run: single numbers, and series with their course.

    Series are what steps log with Metrics.log_metric(name, value, step=...); their points are there while the step runs.
    """
    client = connect().client
    most = _MOST if output != "text" else 3 * _WIDTH
    run_id = str(client.get(run)["run_id"])
    found = client.metrics(run_id, name=name, task_id=task, attempt=attempt, max_points=most)
    if output == "json":
        print_json(found)
    elif output == "csv":
        _print_csv(found)
    elif not found:
        click.echo("No metrics" + (f" of the name {name}" if name else "") + " yet.")
    else:
        rows = [
            (_of(one), one["name"], *map(_number, (one["value"], one.get("min"), one.get("max"))), *_course(one)) for one in found
        ]
        print_table(("OUTPUT", "METRIC", "LAST", "MIN", "MAX", "POINTS", "COURSE"), rows)


def _of(metric: Mapping[str, Any]) -> str:
    """Which output, for people: ``train/metrics``, and its place in a list."""
    place = f"[{metric['index']}]" if metric["index"] else ""
    return f"{metric['task_id']}/{metric['artifact']}{place}"


def _course(metric: Mapping[str, Any]) -> tuple[str, str]:
    if "count" not in metric:
        return "", ""
    return str(metric["count"]), sparkline([float(point["value"]) for point in metric.get("points", [])])


def _number(value: float | str | None) -> str:
    return "" if value is None else f"{float(value):.6g}"


def _print_csv(found: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("task_id", "attempt", "artifact", "index", "name", "step", "time", "value"))
    for one in found:
        whose = (one["task_id"], one.get("attempt", ""), one["artifact"], one["index"], one["name"])
        for point in one.get("points") or [{"value": one["value"]}]:
            writer.writerow((*whose, point.get("step", ""), point.get("time", ""), point["value"]))


def sparkline(values: Sequence[float], width: int = _WIDTH) -> str:
    """Draw numbers as a line of bars; what is no number is a gap.

    Args:
        values: In order.
        width: Characters at most; of more values, each bar is the mean of its part.

    Examples:
        >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7])
        '▁▂▃▄▅▆▇█'
        >>> sparkline([1.0, float("nan"), 1.0])
        '▁ ▁'
    """
    parts = min(width, len(values))
    heights = [_mean(values[part * len(values) // parts : (part + 1) * len(values) // parts]) for part in range(parts)]
    finite = [height for height in heights if math.isfinite(height)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(height, low, high) for height in heights)


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _bar(height: float, low: float, high: float) -> str:
    if not math.isfinite(height):
        return " "
    part = (height - low) / (high - low) if high > low else 0.0
    return _BARS[min(int(part * len(_BARS)), len(_BARS) - 1)]
