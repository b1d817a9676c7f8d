"""``kedge demo``: the whole of Kedge in one command."""

import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from kedge import host
from kedge.cli.follow import Ended, follow
from kedge.cli.run import report
from kedge.cli.session import Session, connect
from kedge.config import Settings
from kedge.display.tasks import counts, duration
from kedge.errors import StateError
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.demo import example


@click.command("demo")
def command() -> int:
    """Run a real machine-learning pipeline here, twice.

    Starts a host of its own, trains and compares models on the Palmer penguins, prints what came out and where it lies, runs the
    pipeline again to show that steps whose result is known are not run again, and stops what it started. The first time, the
    steps' environments (pandas, scikit-learn) are installed; that takes longest.
    """
    settings = Settings.from_environment()
    host.make(settings.root)  # made as a parent of the demo's, it would be open to others
    settings = replace(settings, home=settings.root / "demo", context="", database="")
    _clear(settings.home)
    started = time.monotonic()
    try:
        running = host.start(settings)
        _say(f"A host of its own is ready after {duration(time.monotonic() - started)}: {running.http}, data in {settings.home}")
        return _twice(connect(settings))
    finally:
        if left := host.find(settings):
            host.stop(left)
        host.stop_supervisor(settings.home)


def _twice(session: Session) -> int:
    path = example() / "pipeline.py"
    started = time.monotonic()
    document = compile_file(path)
    _say(f"Compiled {path} in {duration(time.monotonic() - started)}")
    click.echo(
        "The first time on a machine, the steps' packages (pandas, scikit-learn) are installed before the first step starts."
    )
    run = session.client.run(document, name="penguins")
    first = follow(session.client, run)
    if status := report(session.client, first):
        return status
    _say("The same again: steps whose result is known are not run")
    started = time.monotonic()
    second = follow(session.client, session.client.run(document, name="penguins, again"))
    if status := report(session.client, second, results_shown=False):
        return status
    states = _steps(second)
    _say(f"{counts(states)}: the second run took {duration(time.monotonic() - started)}")
    _say(f"Stopping what was started. The results stay in {session.host.data_dir}")
    return 0


def _steps(ended: Ended) -> Counter[str]:
    return Counter(task.state for task in ended.tasks.values() if task.is_step)


def _clear(home: Path) -> None:
    """Start from nothing, so that the first run really runs; what an earlier demo left is deleted, and nothing else."""
    if not home.exists():
        return
    # The log is the first thing there, the version comes later: an interrupted start may have left the log alone.
    if any(home.iterdir()) and not any((home / name).exists() for name in ("hub.log", "version.json")):
        raise StateError(
            f"{home}: is not the data directory of an earlier demo. Move it away, or set KEDGE_HOME to another directory."
        )
    settings = replace(Settings.from_environment(), home=home, context="")
    if left := host.find(settings):
        host.stop(left)
    host.stop_supervisor(home)
    shutil.rmtree(home)


def _say(text: str) -> None:
    click.echo(click.style(f"\n== {text}", bold=True))
