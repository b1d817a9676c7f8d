"""What runs leave behind, on the command line: artifacts, their lineage, runs compared and gone on with; and schedules."""

import json
from pathlib import Path
from typing import Any

import pytest

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Metrics, Model, Output

@dsl.component
def make(n: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("x" * n)

@dsl.component
def train(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics]):
    import os
    os.makedirs(model.path + "/layers")
    for name, text in (("config", "a"), ("layers/first", "bb")):
        with open(model.path + "/" + name, "w") as file:
            file.write(text)
    metrics.log_metric("size", os.path.getsize(data.path))

@dsl.component
def use(model: Input[Model], flag: str) -> int:
    import os
    if not os.path.exists(flag):
        raise ValueError("not yet")
    return len(os.listdir(model.path))

@dsl.pipeline
def results(flag: str, n: int = 3) -> int:
    data = make(n=n)
    trained = train(data=data.outputs["data"])
    return use(model=trained.outputs["model"], flag=flag).output
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "results.py"
    path.write_text(PIPELINE)
    return path


def told(kedge: RunningHost, *arguments: str) -> Any:
    return json.loads(kedge.cli(*arguments, "-o", "json", check=True).stdout)


def start(kedge: RunningHost, file: Path, name: str, flag: Path, *more: str) -> dict[str, Any]:
    done = kedge.cli("run", str(file), "--name", name, "-p", f"flag={flag}", "-o", "json", *more)
    return json.loads(done.stdout)


def test_a_run_goes_on_from_where_it_failed(either_host: RunningHost, file: Path, shared: Path) -> None:
    """With what succeeded kept: the step that failed alone is tried again."""
    flag = shared / "flag"
    run = start(either_host, file, "goes-on", flag)
    assert run["state"] == "FAILED"
    flag.touch()
    again = either_host.cli("runs", "retry", "goes-on", "--follow")
    assert again.returncode == 0, again.stderr
    tasks = {task["id"]: task for task in told(either_host, "runs", "show", "goes-on")["tasks"]}
    assert tasks[""]["outputs"]["parameters"] == {"Output": 2}
    assert {name: tasks[name].get("attempt", 0) for name in ("make", "train", "use")} == {"make": 0, "train": 0, "use": 1}
    refused = either_host.cli("runs", "retry", "goes-on")
    assert refused.returncode == 1
    assert "goes-on" in refused.stderr or run["run_id"] in refused.stderr


def test_runs_are_compared_where_they_differ(either_host: RunningHost, file: Path, shared: Path) -> None:
    (shared / "flag").touch()
    start(either_host, file, "small", shared / "flag")
    start(either_host, file, "large", shared / "flag", "-p", "n=50")
    lines = either_host.cli("runs", "compare", "small", "large", check=True).stdout.splitlines()
    cells = {line.split("   ")[0].strip(): line.split()[-2:] for line in lines[3:]}
    assert cells == {"n": ["3", "50"], "train · metrics · size": ["3", "50"]}


def test_an_artifact_is_found_shown_and_copied(either_host: RunningHost, file: Path, shared: Path, tmp_path: Path) -> None:
    (shared / "flag").touch()
    start(either_host, file, "shown", shared / "flag", "-p", "n=7")
    (model,) = told(either_host, "artifacts", "list", "--run", "shown", "--type", "Model")
    assert [each["path"] for each in told(either_host, "artifacts", "show", model["artifact_id"])["files"]] == [
        "config",
        "layers/first",
    ]
    either_host.cli("artifacts", "get", model["artifact_id"], str(tmp_path / "model"), check=True)
    assert (tmp_path / "model" / "layers" / "first").read_text() == "bb"
    refused = either_host.cli("artifacts", "get", model["artifact_id"], str(tmp_path / "model"))
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)


def test_lineage_goes_both_ways(either_host: RunningHost, file: Path, shared: Path) -> None:
    (shared / "flag").touch()
    start(either_host, file, "lineage", shared / "flag", "-p", "n=11")
    (model,) = told(either_host, "artifacts", "list", "--run", "lineage", "--type", "Model")
    found = told(either_host, "artifacts", "lineage", model["artifact_id"])
    assert {task["task_id"] for task in found["tasks"]} == {"make", "train", "use"}
    up = told(either_host, "artifacts", "lineage", model["artifact_id"], "--up")
    assert {task["task_id"] for task in up["tasks"]} == {"make", "train"}
    assert {each["schema_title"] for each in up["artifacts"]} == {"system.Dataset", "system.Model"}


def test_a_schedule_is_made_shown_kept_from_firing_and_forgotten(either_host: RunningHost, file: Path) -> None:
    either_host.cli("schedules", "create", str(file), "--name", "weekly", "--cron", "0 9 * * 1", "-p", "flag=/x", check=True)
    assert told(either_host, "schedules", "show", "weekly")["trigger"] == {"cron_schedule": {"cron": "0 9 * * 1"}}
    either_host.cli("schedules", "disable", "weekly", check=True)
    assert "next_run_at" not in told(either_host, "schedules", "show", "weekly")
    either_host.cli("schedules", "enable", "weekly", check=True)
    assert told(either_host, "schedules", "show", "weekly")["next_run_at"]
    either_host.cli("schedules", "delete", "weekly", check=True)
    assert either_host.cli("schedules", "show", "weekly").returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cron", "99 * * * *"), "bad minute field"),
        (("--every", "soon"), "must be a whole number and a unit, such as 30m"),
        ((), "either --cron or --every"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    either_host: RunningHost, file: Path, options: tuple[str, ...], message: str
) -> None:
    refused = either_host.cli("schedules", "create", str(file), "--name", "wrong", "-p", "flag=/x", *options)
    assert refused.returncode != 0
    assert message in refused.stderr
