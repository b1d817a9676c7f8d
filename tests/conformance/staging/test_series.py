"""Series of metrics: points reach the hub while the step runs, each once, and none is lost when the hub is away."""

import math
import threading
from pathlib import Path
from typing import Any

import pytest
from staged import Hub, Launcher, artifact, committed

from kedge.artifacts.staging import Assignment
from kedge.errors import Conflict, Invalid, Unavailable

POLL = 0.02


@pytest.fixture
def given(hub: Hub) -> None:
    outputs = {name: artifact(hub.uri("r", name), "system.Metrics") for name in ("metrics", "Output")}
    hub.backend.assignment = Assignment(
        {
            "inputs": {"parameterValues": {}, "artifacts": {}},
            "outputs": {"artifacts": {"metrics": outputs["metrics"]}, "outputFile": "/tmp/kedge/outputs/executor_output.json"},  # noqa: S108
        }
    )


def run(launcher: Launcher, body: str, **environment: str) -> Any:
    launcher.code("def step(metrics: Output[Metrics]):\n" + "".join(f"    {line}\n" for line in body.splitlines()))
    return launcher.start({"code": "exec", "executorInput": None, "begin": True}, "run", **environment)


def points(hub: Hub, name: str = "loss") -> dict[int, float]:
    return {step: float(value) for batch in hub.backend.batches if batch.name == name for step, _, value in batch.points}


@pytest.mark.usefixtures("given")
def test_points_are_with_the_hub_while_the_step_still_runs(launcher: Launcher, hub: Hub, tmp_path: Path) -> None:
    go = tmp_path / "go"
    seen: list[dict[int, float]] = []

    def look() -> None:
        for _ in range(int(60 / POLL)):
            if points(hub):
                break
            threading.Event().wait(POLL)
        seen.append(points(hub))
        go.touch()

    watcher = threading.Thread(target=look)
    watcher.start()
    body = f"import os, time\nmetrics.log_metric('loss', 2, step=1)\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)"
    done = run(launcher, body)
    watcher.join()
    assert done.returncode == 0, done.stderr
    assert seen == [{1: 2.0}]
    assert committed(hub)["artifacts"]["metrics"][0]["metadata"] == {"loss": 2}


@pytest.mark.usefixtures("given")
def test_the_artifact_has_the_last_values_and_the_hub_every_point_by_the_time_of_the_commit(launcher: Launcher, hub: Hub) -> None:
    body = (
        "from datetime import datetime, timezone\n"
        "for step in range(25_000):\n"
        "    metrics.log_metric('loss', 1 / (1 + step), step=step, timestamp=1.5)\n"
        "metrics.log_metric('odd', float('nan'), step=0, timestamp=datetime.fromtimestamp(2, timezone.utc))\n"
        "metrics.log_metric('odd', float('-inf'), step=1)\n"
        "metrics.log_metric('plain', float('inf'))\n"
    )
    done = run(launcher, body)
    assert (done.returncode, done.stderr) == (0, "")
    assert points(hub) == {step: 1 / (1 + step) for step in range(25_000)}
    assert max(sum(len(batch.points) for batch in [one]) for one in hub.backend.batches) <= 10_000
    (odd,) = (batch for batch in hub.backend.batches if batch.name == "odd")
    assert (odd.output, odd.points[0], odd.points[1][2]) == ("metrics", (0, 2_000_000, "NaN"), "-Infinity")
    assert math.isnan(points(hub, "odd")[0])
    metadata = committed(hub)["artifacts"]["metrics"][0]["metadata"]
    assert metadata == {"loss": 1 / 25_000, "odd": "-Infinity", "plain": "Infinity"}


@pytest.mark.usefixtures("given")
def test_a_hub_that_is_busy_or_away_gets_the_points_when_it_is_back(launcher: Launcher, hub: Hub) -> None:
    hub.backend.answers = [Unavailable("busy", retry_after=0)] * 3
    done = run(launcher, "for step in range(3):\n    metrics.log_metric('loss', step, step=step)")
    assert done.returncode == 0, done.stderr
    assert points(hub) == {0: 0.0, 1: 1.0, 2: 2.0}


@pytest.mark.usefixtures("given")
def test_a_step_that_fails_has_what_it_logged_recorded(launcher: Launcher, hub: Hub) -> None:
    done = run(launcher, "metrics.log_metric('loss', 4, step=7)\nraise ValueError('diverged')")
    assert (done.returncode, points(hub), hub.backend.commits) == (1, {7: 4.0}, [])


@pytest.mark.usefixtures("given")
def test_points_that_the_hub_refuses_are_told_and_do_not_fail_the_step(launcher: Launcher, hub: Hub) -> None:
    hub.backend.answers = [Invalid("no such output")]
    done = run(launcher, "metrics.log_metric('loss', 4, step=7)")
    assert (done.returncode, done.stderr) == (0, "kedge: points of metrics were not recorded: no such output\n")
    assert len(hub.backend.commits) == 1


@pytest.mark.usefixtures("given")
def test_a_step_that_is_not_wanted_any_more_ends_as_quietly_as_without_points(launcher: Launcher, hub: Hub) -> None:
    hub.backend.answers = [Conflict("cancelled"), Conflict("cancelled")]
    done = run(launcher, "metrics.log_metric('loss', 4, step=7)")
    assert (done.returncode, done.stderr) == (75, "kedge: cancelled\n")


def test_metrics_that_a_function_returns_have_their_series_too(launcher: Launcher, hub: Hub) -> None:
    hub.backend.assignment = Assignment(
        {"inputs": {}, "outputs": {"artifacts": {"Output": artifact(hub.uri("r", "Output"), "system.Metrics")}}}
    )
    launcher.code(
        "def step() -> Metrics:\n    made = Metrics(uri=get_uri())\n    made.log_metric('loss', 1, step=3)\n    return made\n"
    )
    done = launcher.start({"code": "exec", "executorInput": None, "begin": True}, "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert [(batch.output, batch.index) for batch in hub.backend.batches] == [("Output", 0)]
    assert points(hub) == {3: 1.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'loss', 1, step=1.5", "TypeError: log_metric('loss'): step must be a whole number, got 1.5."),
        ("'loss', 1, step=True", "ValueError: log_metric('loss'): step must be a whole number of 64 bits, got True."),
        ("'loss', 1, step=1 << 63", "ValueError: log_metric('loss'): step must be a whole number of 64 bits"),
        ("'loss', '1', step=1", "TypeError: log_metric('loss'): the value must be a number, got the text '1'."),
        ("'loss', [1], step=1", "TypeError: log_metric('loss'): the value must be a number, got [1]:"),
        ("'', 1, step=1", "ValueError: log_metric(''): the name of a series is a text of 1 to 250 characters."),
        ("'loss', 1, timestamp=1", "ValueError: log_metric('loss'): timestamp= belongs to a point of a series. Give step= too."),
        ("'loss', 1, step=1, timestamp=1.7e12", "ValueError: timestamp must be seconds since 1970, or a datetime;"),
    ],
)
@pytest.mark.usefixtures("given")
def test_what_is_no_point_is_refused_where_it_is_logged(launcher: Launcher, hub: Hub, arguments: str, said: str) -> None:
    done = run(launcher, f"metrics.log_metric({arguments})")
    assert done.returncode == 1
    assert said in done.stderr
    assert hub.backend.batches == []
