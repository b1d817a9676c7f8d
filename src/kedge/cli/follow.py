"""Follow a run to its end: progress while it runs, and Ctrl-C.

Ctrl-C cancels the run: what was started in the foreground ends with the foreground. A second Ctrl-C leaves without waiting for
that. To start a run and leave it alone, there is ``kedge run --no-wait``; commands that only look on never cancel.
"""

import select
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from kedge.cli.progress import Progress, progress
from kedge.cli.session import how_it_comes_back
from kedge.display.tasks import TaskView
from kedge.errors import Unavailable
from kedge.pipelines.client import Client

# A host that is started again at once is worth no words.
_UNNOTICED = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over.

    Attributes:
        run: The REST API's run.
        tasks: All of its tasks, by id.
    """

    run: Mapping[str, Any]
    tasks: Mapping[str, TaskView]

    @property
    def succeeded(self) -> bool:
        """Whether it reached ``SUCCEEDED``."""
        return self.run.get("state") == "SUCCEEDED"


def follow(
    client: Client, run: Mapping[str, Any], *, quiet: bool = False, cancel: bool = True, reopened: datetime | None = None
) -> Ended:
    """Show a run's progress until it is over.

    Args:
        client: Of the host.
        run: The REST API's run.
        quiet: Show it on standard error, because standard output belongs to a script.
        cancel: Whether Ctrl-C cancels the run; otherwise it only ends the looking on.
        reopened: When the run ended, if it goes on now.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it before the run did.
    """
    run_id = str(run["run_id"])
    tasks: dict[str, TaskView] = {}
    with progress(f"{run.get('display_name') or run_id}  {run_id}", stderr=quiet, reopened=reopened) as shown:
        try:
            return _watch(client, run_id, tasks, shown)
        except KeyboardInterrupt:
            if not cancel:
                raise
            click.echo("Cancelling. Press Ctrl-C again to leave without waiting.", err=True)
            try:
                client.cancel(run_id)
            except Unavailable as error:
                hint = f"The run was not cancelled: `kedge cancel {run_id}` once the host answers (`kedge status`)."
                raise Unavailable(f"{error} {hint}") from error
            return _watch(client, run_id, tasks, shown)


def _watch(client: Client, run_id: str, tasks: dict[str, TaskView], shown: Progress) -> Ended:
    for change in changes(client, run_id):
        if "run" in change:
            return Ended(change["run"], tasks)
        task = TaskView.from_json(change)
        tasks[task.id] = task
        shown.update(task)
    return Ended(client.get(run_id), tasks)


def changes(client: Client, run_id: str, *, patience: float = 120.0) -> Iterator[Mapping[str, Any]]:
    """Yield every task, each change, and at the end ``{"run": …}``, also when the host is stopped and started meanwhile.

    Args:
        client: Of the host.
        run_id: The run.
        patience: Seconds to wait for a host that does not answer. Steps go on without it, so there is something to wait for.

    Raises:
        Unavailable: It did not come back.
    """
    lost, told = None, False
    while True:
        try:
            for change in client.watch(run_id):
                if told:
                    click.echo("The host is back.", err=True)
                lost, told = None, False
                yield change
                if "run" in change:
                    return
        except Unavailable as error:
            now = time.monotonic()
            lost = now if lost is None else lost
            if not told and now - lost > _UNNOTICED:
                told = True
                back = how_it_comes_back(client)
                click.echo(f"The host does not answer. Waiting up to {patience:g} s until it is back: {back}", err=True)
            if now - lost > patience:
                hint = f"The run is not lost: {how_it_comes_back(client)} Then `kedge runs show {run_id} --follow`."
                raise Unavailable(f"{error} {hint}") from error
        select.select([], [], [], 0.2)
