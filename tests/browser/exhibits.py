"""Real runs to look at: one of each kind that the dashboard shows, made once for a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.pipelines.compiler import compile_file
from kedge.pipelines.documents import Document
from kedge.testing.host import RunningHost

PIPELINES = Path(__file__).parent / "pipelines"

YEARLY = {"display_name": "flowers each year", "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}}, "max_concurrency": "1"}


@dataclass(frozen=True)
class Exhibits:
    """Ids of runs that are over, and of what else there is. Who changes one makes it anew: `start`.

    Attributes:
        flowers: Succeeded; artifacts of every kind, a loop, a pipeline in it, a condition, an exit handler, logs.
        cached: The same again: every step's result was known.
        failing: Failed, with an exit handler that ran.
        retrying: Succeeded at the second attempt.
        hostile: Succeeded; what its step says and makes tries to run as script.
        pipeline: The stored pipeline ``flowers``.
        schedule: Runs ``flowers`` each year on the first of January.
    """

    flowers: str
    cached: str
    failing: str
    retrying: str
    hostile: str
    pipeline: str
    schedule: str


def pipeline(name: str) -> Document:
    """One of the pipelines beside this file, compiled.

    Args:
        name: ``flowers``, ``failing``, ``retrying``, ``waiting`` or ``hostile``.
    """
    file = PIPELINES / ("shown.py" if name == "flowers" else "troubled.py")
    return compile_file(file, pipeline_name=name)


def start(host: RunningHost, name: str, parameters: Mapping[str, Any] | None = None, *, called: str = "") -> str:
    """Start a run.

    Args:
        host: Where.
        name: The pipeline's.
        parameters: Its arguments; ``retrying`` wants a folder of its own, ``waiting`` the path of a file for which it waits.
        called: What people call the run.

    Returns:
        Its id.
    """
    return host.client.run(pipeline(name), parameters=parameters, name=called or name)["run_id"]


def ended(host: RunningHost, run: str, state: str) -> str:
    """Wait until a run is over, and hold that it ended so; says its id."""
    found = host.client.wait(run)
    assert found["state"] == state, found
    return run


def made(host: RunningHost, folder: Path) -> Exhibits:
    """Make all of them.

    Args:
        host: Where.
        folder: What the retried step remembers itself in; steps have a /tmp of their own.
    """
    host.client.clear_cache(every=True)  # a test may have run some of it before
    flowers = start(host, "flowers")
    others = {name: start(host, name) for name in ("failing", "hostile")}
    retrying = start(host, "retrying", {"folder": str(folder)})
    ended(host, flowers, "SUCCEEDED")
    cached = start(host, "flowers", called="flowers again")
    return Exhibits(
        flowers=flowers,
        cached=ended(host, cached, "SUCCEEDED"),
        failing=ended(host, others["failing"], "FAILED"),
        retrying=ended(host, retrying, "SUCCEEDED"),
        hostile=ended(host, others["hostile"], "SUCCEEDED"),
        pipeline=host.client.upload(pipeline("flowers"))["pipeline_id"],
        schedule=host.client.create_recurring_run(pipeline("flowers"), YEARLY)["recurring_run_id"],
    )
