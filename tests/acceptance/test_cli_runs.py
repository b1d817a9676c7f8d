"""Runs on the command line after their end: gone on with another pipeline, from one task, taken elsewhere as a file, deleted."""

import json
from pathlib import Path

import stored

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def make(n: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("x" * n)

@dsl.component
def use(data: Input[Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read()){bug}

@dsl.pipeline
def again(n: int = 7) -> int:
    made = make(n=n)
    return use(data=made.outputs["data"]).output
"""


def artifacts(kedge: RunningHost, run: str) -> list[str]:
    return [path for path in stored.files(kedge) if run in path]


def test_a_run_is_resumed_retried_exported_deleted_and_imported(either_host: RunningHost, tmp_path: Path) -> None:
    bad, good, bundle = tmp_path / "bad.py", tmp_path / "good.py", tmp_path / "run.kedge.tar.gz"
    bad.write_text(PIPELINE.format(bug=" / 0"))
    good.write_text(PIPELINE.format(bug=""))
    failed = either_host.cli("run", str(bad), "--name", "again", "-o", "json")
    run = json.loads(failed.stdout)["run_id"]

    resumed = either_host.cli("runs", "resume", "again", "--pipeline", str(good), "--follow", check=True).stdout
    assert "Kept: make." in resumed
    assert "Runs again: use: it has changed." in resumed
    assert [line.split()[1:3] for line in resumed.splitlines() if "SUCCEEDED" in line] == [["SUCCEEDED", "use"]]
    refused = either_host.cli("runs", "resume", run, "--pipeline", str(good))
    assert refused.returncode == 1
    assert "is SUCCEEDED: only one that failed or was canceled can be resumed" in refused.stderr

    retried = either_host.cli("runs", "retry", run, "--task", "make", "--follow", check=True).stdout
    assert "Runs again: make: it was asked for." in retried
    assert "Runs again: use: it depends on make." in retried
    shown = json.loads(either_host.cli("runs", "show", run, "-o", "json", check=True).stdout)
    tasks = {task["id"]: task for task in shown["tasks"]}
    assert tasks[""]["outputs"]["parameters"] == {"Output": 7}
    assert (tasks["make"]["attempt"], tasks["use"]["attempt"]) == (1, 2)

    wrote = either_host.cli("runs", "export", run, "-o", str(bundle), check=True).stdout
    assert wrote.startswith(f"Wrote {bundle} (")
    twice = either_host.cli("runs", "import", str(bundle))
    assert twice.returncode == 1
    assert "is here already. Delete it first" in twice.stderr

    deleted = either_host.cli("runs", "delete", run, check=True).stdout
    assert deleted.startswith("Deleted again with ")
    assert artifacts(either_host, run) == []
    assert either_host.cli("runs", "show", run).returncode == 1

    assert "Imported again" in either_host.cli("runs", "import", str(bundle), check=True).stdout
    shown = json.loads(either_host.cli("runs", "show", run, "-o", "json", check=True).stdout)
    assert {task["id"]: task["state"] for task in shown["tasks"]} == {"": "SUCCEEDED", "make": "SUCCEEDED", "use": "SUCCEEDED"}
    data = next(one for one in either_host.client.artifacts(run) if one["task_id"] == "make")
    assert either_host.client.read_artifact(data["artifact_id"]) == b"x" * 7


def test_a_deletion_survives_the_kill_of_its_host(own_either_host: RunningHost, tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(PIPELINE.format(bug=""))
    command = ("run", str(good), "--no-cache", "-o", "json")
    runs = [json.loads(own_either_host.cli(*command, check=True).stdout)["run_id"] for _ in range(3)]
    for run in runs[:2]:
        own_either_host.client.delete(run)
    own_either_host.kill()
    own_either_host.start()
    assert [bool(artifacts(own_either_host, run)) for run in runs] == [False, False, True]
