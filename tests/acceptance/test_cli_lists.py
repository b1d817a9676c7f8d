"""Runs are found on the command line: listed by what people remember of them, named in several ways, and compared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import StartHost

from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(120)

PIPELINES = """
from kedge import dsl
from kedge.dsl import ClassificationMetrics, Metrics, Output

@dsl.component
def train(rate: float, metrics: Output[Metrics], matrix: Output[ClassificationMetrics]):
    for step in range(3):
        metrics.log_metric("loss", rate / (step + 1), step=step)
    metrics.log_metric("accuracy", 1 - rate)
    matrix.log_confusion_matrix(["a", "b"], [[1, 2], [3, 4]])

@dsl.component
def fail():
    raise ValueError("no")

@dsl.pipeline
def training(rate: float = 0.5):
    train(rate=rate)

@dsl.pipeline
def failing():
    fail()
"""


@pytest.fixture(scope="module")
def host(start_host: StartHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """One with three runs: ``a`` and ``b`` of training, ``c`` of failing."""
    file = tmp_path_factory.mktemp("lists") / "pipelines.py"
    file.write_text(PIPELINES)
    with start_host() as found:
        for name, rate in (("a", "0.5"), ("b", "0.25")):
            found.cli(
                "run",
                str(file),
                "--pipeline",
                "training",
                "--name",
                name,
                "-p",
                f"rate={rate}",
                "--tag",
                "given=early",
                check=True,
            )
        assert found.cli("run", str(file), "--pipeline", "failing", "--name", "c").returncode == 1
        yield found


def names(host: RunningHost, *options: str) -> list[str]:
    return [run["display_name"] for run in json.loads(host.cli("runs", "list", "-o", "json", *options, check=True).stdout)]


def test_runs_are_listed_by_what_people_remember(host: RunningHost) -> None:
    assert names(host) == ["c", "b", "a"]
    assert names(host, "--state", "failed") == ["c"]
    assert names(host, "--state", "failed", "--state", "succeeded", "--pipeline", "training") == ["b", "a"]
    assert names(host, "--since", "1h", "--experiment", "Default") == ["c", "b", "a"]
    unknown = host.cli("runs", "list", "--experiment", "none-such")
    assert (unknown.returncode, "none-such" in unknown.stderr) == (1, True)
    bare = host.cli("runs", check=True).stdout
    assert bare == host.cli("runs", "list", check=True).stdout


def test_archived_runs_are_out_of_the_way(host: RunningHost) -> None:
    host.cli("runs", "archive", "c", check=True)
    assert (names(host), names(host, "--archived"), names(host, "--all")) == (["b", "a"], ["c"], ["c", "b", "a"])
    host.cli("runs", "archive", "c", "--undo", check=True)
    assert names(host) == ["c", "b", "a"]


def test_a_long_list_says_how_it_goes_on(host: RunningHost) -> None:
    first = host.cli("runs", "list", "-n", "2", check=True).stdout.splitlines()
    assert first[-1].startswith("3 in all; the next: kedge runs list --page ")
    token = first[-1].rpartition(" ")[2]
    assert names(host, "-n", "2", "--page", token) == ["a"]


def test_a_run_is_named_by_the_beginning_of_its_id(host: RunningHost) -> None:
    run: dict[str, Any] = host.client.get("a")
    assert host.client.get(run["run_id"][:8])["run_id"] == run["run_id"]
    refused = host.cli("runs", "show", "none-such")
    assert (refused.returncode, "run 'none-such' not found" in refused.stderr) == (1, True)
    for nobody in ("", "../x", ".."):  # an unset variable of a script, and what would be another path
        refused = host.cli("runs", "show", nobody)
        assert (refused.returncode, f"nothing has the id {nobody!r}" in refused.stderr) == (1, True)


def test_runs_are_compared_with_the_last_values_of_series(host: RunningHost) -> None:
    lines = host.cli("runs", "compare", "a", "b", check=True).stdout.splitlines()
    cells = {line.split("   ")[0].strip(): line.split()[-2:] for line in lines[3:-1]}
    assert cells == {
        "rate": ["0.5", "0.25"],
        "train · metrics · loss": ["0.16666666666666666", "0.08333333333333333"],
        "train · metrics · accuracy": ["0.5", "0.75"],
    }
    assert lines[-1] == "Not compared: confusion matrix of train · matrix. `kedge runs show` draws it."
    other = json.loads(host.cli("runs", "compare", "a", "c", "-o", "json", check=True).stdout)
    assert [one["parameters"] for one in other] == [{"rate": 0.5}, {}]


def test_runs_are_found_by_their_tags(host: RunningHost) -> None:
    assert host.cli("runs", "tag", "a", "team=x", "draft=", check=True).stdout == "a: draft=,given=early,team=x\n"
    assert host.cli("runs", "tag", "a", "stage=dev", "draft-", check=True).stdout == "a: given=early,stage=dev,team=x\n"
    host.client.tag(host.client.get("b")["run_id"], {"team": "y"})
    assert names(host, "--tag", "team=x") == ["a"]
    assert names(host, "--tag", "team") == ["b", "a"]
    assert names(host, "--tag", "team=x", "--tag", "stage=prod") == []
    shown = host.cli("runs", "list", "--tag", "stage=dev", "--show-tags", check=True).stdout.splitlines()
    assert (shown[0].split()[-1], shown[1].split()[-1]) == ("TAGS", "given=early,stage=dev,team=x")
    assert "tags: given=early,stage=dev,team=x" in host.cli("runs", "show", "a", check=True).stdout.splitlines()
    assert names(host, "--tag", "given=early") == ["b", "a"]
    refused = host.cli("runs", "tag", "a", "kedge.dev/x=y")
    assert (refused.returncode, "tags.kedge.dev/x: cannot be set" in refused.stderr) == (1, True)
    refused = host.cli("runs", "tag", "a", "team")
    assert (refused.returncode, "must be KEY=VALUE, such as team=a, or KEY- to take the tag away" in refused.stderr) == (2, True)
    for run in ("a", "b"):
        host.cli("runs", "tag", run, "team-", "stage-", check=True)


def test_a_schedule_is_changed_in_place(host: RunningHost, tmp_path: Path) -> None:
    file = tmp_path / "pipelines.py"
    file.write_text(PIPELINES)
    host.cli("schedules", "create", str(file), "--pipeline", "training", "--name", "often", "--every", "6h", check=True)
    before = host.client.recurring_run("often")
    changed = host.cli(
        "schedules", "update", "often", "--cron", "0 9 * * 1", "--no-catchup", "--at-once", "3", "--name", "weekly", check=True
    )
    assert changed.stdout.startswith("Changed weekly; next at ")
    after = host.client.recurring_run("weekly")
    assert after["recurring_run_id"] == before["recurring_run_id"]
    assert after["trigger"] == {"cron_schedule": {"cron": "0 9 * * 1"}}
    assert (after["no_catchup"], after["max_concurrency"]) == (True, "3")
    assert host.cli("schedules", "update", "weekly").returncode == 2
    refused = host.cli("schedules", "update", "weekly", "--start", "2030-01-01T00:00:00Z")
    assert "--start and --end belong to a time" in refused.stderr


def test_a_schedule_gets_other_arguments_and_another_pipeline(host: RunningHost, tmp_path: Path) -> None:
    file, other = tmp_path / "pipelines.py", tmp_path / "other.py"
    file.write_text(PIPELINES)
    other.write_text(PIPELINES.replace("def training(rate: float = 0.5)", "def training(epochs: int, rate: float = 0.5)"))
    create = ("schedules", "create", str(file), "--pipeline", "training", "--name", "nightly", "--cron", "0 3 * * *")
    host.cli(*create, "-p", "rate=0.25", check=True)
    before = host.client.recurring_run("nightly")

    host.cli("schedules", "update", "nightly", "-p", "rate=0.75", check=True)
    assert host.client.recurring_run("nightly")["runtime_config"]["parameters"] == {"rate": 0.75}
    refused = host.cli("schedules", "update", "nightly", "-p", "rate=fast")
    assert "--param rate: must be a number, got 'fast'." in refused.stderr
    missing = host.cli("schedules", "update", "nightly", "--file", str(other), "--pipeline", "training")
    assert "needs epochs, which has no default. Add --param epochs=1." in missing.stderr
    assert host.client.recurring_run("nightly")["pipeline_spec"] == before["pipeline_spec"]

    changed = ("--file", str(other), "--pipeline", "training", "-p", "epochs=3")
    host.cli("schedules", "update", "nightly", *changed, check=True)
    after = host.client.recurring_run("nightly")
    assert after["runtime_config"]["parameters"] == {"rate": 0.75, "epochs": 3}
    assert after["pipeline_spec"] != before["pipeline_spec"]
    assert (after["recurring_run_id"], after["trigger"]) == (before["recurring_run_id"], before["trigger"])
