"""Staging around a user's own command: stage-in before it, stage-out when it has ended."""

import signal
from pathlib import Path
from typing import Any

import pytest
from staged import Hub, Launcher, artifact, committed

from kedge.artifacts.staging import Assignment

STEP = {"code": "", "executorInput": None, "begin": True}


@pytest.fixture
def assigned(hub: Hub) -> dict[str, Any]:
    source = hub.store.folder / "earlier" / "data.csv"
    source.parent.mkdir(parents=True)
    source.write_text("abc")
    given = {
        "inputs": {
            "artifacts": {"data": artifact(hub.uri("earlier", "data.csv"), customPath="/kedge/staging/inputs/data/0/data.csv")}
        },
        "outputs": {
            "parameters": {"count": {"outputFile": "/kedge/staging/outputs/parameters/count"}},
            "artifacts": {"out": artifact(hub.uri("r", "out"), customPath="/kedge/staging/outputs/artifacts/out")},
            "outputFile": "/kedge/staging/outputs/executor_output.json",
        },
    }
    hub.backend.assignment = Assignment(given)
    return given


def stop(launcher: Launcher) -> tuple[int, str]:
    """Start the sidecar, and stop it as a kubelet does; returns its exit code and what it said."""
    process = launcher.sidecar(STEP)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.usefixtures("assigned")
def test_a_command_finds_its_inputs_and_its_outputs_are_committed(launcher: Launcher, hub: Hub) -> None:
    assert launcher.start(STEP, "stage-in").returncode == 0
    shared = Path(launcher.folder / "staging")
    assert (shared / "inputs/data/0/data.csv").read_text() == "abc"
    (shared / "outputs/artifacts/out").write_text("made")
    (shared / "outputs/parameters/count").write_text("3")
    (shared / "outputs/executor_output.json").write_text('{"artifacts": {"out": {"artifacts": [{"metadata": {"rows": 4}}]}}}')
    assert stop(launcher) == (0, "")
    made = committed(hub)
    assert made["texts"] == {"count": "3"}
    assert (made["artifacts"]["out"][0]["metadata"], made["artifacts"]["out"][0]["size"]) == ({"rows": 4}, 4)
    assert (hub.store.folder / "r" / "out").read_text() == "made"
    assert hub.backend.begins == 1


@pytest.mark.usefixtures("assigned")
def test_a_command_that_wrote_no_parameter_fails(launcher: Launcher, hub: Hub) -> None:
    assert launcher.start(STEP, "stage-in").returncode == 0
    code, said = stop(launcher)
    assert code == 1
    assert "output 'count': the command wrote no file at" in said
    assert hub.backend.commits == []


def test_paths_outside_of_the_shared_folder_are_refused(launcher: Launcher, assigned: dict[str, Any]) -> None:
    assigned["inputs"]["artifacts"]["data"]["artifacts"][0]["customPath"] = "/kedge/staging/../../etc/x"
    done = launcher.start(STEP, "stage-in")
    assert done.returncode == 1
    assert "not below /kedge/staging" in done.stderr
