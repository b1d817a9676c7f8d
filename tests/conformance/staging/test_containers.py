"""Staging around a user's own command: stage-in before it, stage-out when it has ended."""

import signal
import subprocess
from collections.abc import Iterator
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


@pytest.fixture
def sidecar(launcher: Launcher) -> Iterator["subprocess.Popen[str]"]:
    """The sidecar, started first as a node does."""
    process = launcher.sidecar(STEP)
    yield process
    process.kill()
    process.communicate(timeout=60)


def stop(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Stop the sidecar as a kubelet does; returns its exit code and what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.usefixtures("assigned")
def test_a_command_finds_its_inputs_and_its_outputs_are_committed(
    launcher: Launcher, sidecar: "subprocess.Popen[str]", hub: Hub
) -> None:
    assert launcher.start(STEP, "stage-in").returncode == 0
    shared = Path(launcher.folder / "staging")
    assert (shared / "inputs/data/0/data.csv").read_text() == "abc"
    (shared / "outputs/artifacts/out").write_text("made")
    (shared / "outputs/parameters/count").write_text("3")
    (shared / "outputs/executor_output.json").write_text('{"artifacts": {"out": {"artifacts": [{"metadata": {"rows": 4}}]}}}')
    assert stop(sidecar) == (0, "")
    made = committed(hub)
    assert made["texts"] == {"count": "3"}
    assert (made["artifacts"]["out"][0]["metadata"], made["artifacts"]["out"][0]["size"]) == ({"rows": 4}, 4)
    assert (hub.store.folder / "r" / "out").read_text() == "made"
    assert hub.backend.begins == 1


@pytest.mark.usefixtures("assigned")
def test_a_command_that_wrote_no_parameter_fails(launcher: Launcher, sidecar: "subprocess.Popen[str]", hub: Hub) -> None:
    assert launcher.start(STEP, "stage-in").returncode == 0
    code, said = stop(sidecar)
    assert code == 1
    assert "output 'count': the command wrote no file at" in said
    assert hub.backend.commits == []


def test_paths_outside_of_the_shared_folder_are_refused(launcher: Launcher, assigned: dict[str, Any]) -> None:
    assigned["inputs"]["artifacts"]["data"]["artifacts"][0]["customPath"] = "/kedge/staging/../../etc/x"
    done = launcher.start(STEP, "stage-in")
    assert done.returncode == 1
    assert "not below /kedge/staging" in done.stderr


@pytest.mark.usefixtures("assigned")
def test_the_inputs_are_not_there_before_the_sidecar_listens(launcher: Launcher, hub: Hub) -> None:
    """The user's command is started when they are; its end must not come to a sidecar that cannot hear of it."""
    first = launcher.begin(STEP, "stage-in")
    brought = launcher.folder / "staging" / "inputs/data/0/data.csv"
    while not brought.exists():
        assert first.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.2)
    sidecar = launcher.sidecar(STEP)
    assert first.wait(60) == 0
    stop(sidecar)


@pytest.mark.usefixtures("assigned")
def test_nothing_is_committed_of_a_command_that_never_ran(sidecar: "subprocess.Popen[str]", launcher: Launcher, hub: Hub) -> None:
    while not (launcher.folder / "staging" / ".listening").exists():
        assert sidecar.poll() is None
    assert stop(sidecar) == (0, "")
    assert (hub.backend.begins, hub.backend.commits) == (0, [])
