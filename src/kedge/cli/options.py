"""Options that several commands share, and how they print."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from kedge.kube.clock import SystemClock, micro_timestamp

CONTEXT = "kedge.context"
"""Where click keeps the context that a command was given."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Command = TypeVar("Command", bound=Callable[..., Any])


class TimeSpan(click.ParamType[int]):
    """A length of time such as 30m, in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if found is None or not int(found[1]):
            self.fail(f"{value!r} must be a whole number and a unit, such as 30m, 6h or 1d.", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


def ago(seconds: int) -> str:
    """The time so many seconds ago, as the API reads it; nothing is older than 1970."""
    return micro_timestamp(datetime.fromtimestamp(max(0.0, SystemClock().now().timestamp() - seconds), UTC))


def output_option(command: Command) -> Command:
    """Add ``-o/--output text|json``, passed as ``output``."""
    return click.option(
        "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json is for scripts."
    )(command)


def port_options(command: Command) -> Command:
    """Add ``--http-port`` and ``--https-port``; ``None`` means the ports this data directory always had, or any."""
    port = click.IntRange(0, 65_535)
    for name, what in (("--https-port", "Kubernetes API"), ("--http-port", "REST API and pages")):
        command = click.option(name, type=port, help=f"Port of the {what}; chosen once and kept when not given.")(command)
    return command


def add_context(command: click.Command) -> None:
    """Add ``--context`` to a command, or to each of a group: it then means the hub of that cluster."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_context(inner)
    elif not any("--context" in option.opts for option in command.params):
        command.params.append(
            click.Option(
                ["--context"],
                help="The cluster that is meant, by its context in the kubeconfig (or KEDGE_CONTEXT).",
                metavar="NAME",
                expose_value=False,
                callback=_remember,
            )
        )


def _remember(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.meta[CONTEXT] = value


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    click.echo(json.dumps(value, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write columns as wide as their widest cell, as ``kubectl get`` does."""
    table = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(headings))]
    for line in table:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def size(count: float) -> str:
    """Write a number of bytes as people read it.

    Examples:
        >>> [size(count) for count in (0, 1023, 1536, 5 << 30, 9 << 40)]
        ['0 B', '1023 B', '1.5 KiB', '5.0 GiB', '9216.0 GiB']
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
