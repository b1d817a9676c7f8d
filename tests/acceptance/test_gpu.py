"""Steps on a machine that has GPUs: who asks for one gets one, and CUDA sees no other. Needs a GPU of NVIDIA's and its driver."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from kedge.config import Settings
from kedge.display.tasks import TaskView
from kedge.node import devices
from kedge.pipelines import compiler
from kedge.testing.host import running_host

FOUND = devices.discover(Settings.from_environment().environ)
pytestmark = pytest.mark.skipif(not FOUND, reason="this machine has no GPU of NVIDIA's")


@pytest.fixture(scope="module")
def tasks() -> dict[str, list[dict[str, Any]]]:
    """The steps of one run, by the name of their task in its pipeline."""
    document = compiler.compile_file(Path(__file__).parent / "pipelines" / "gpus.py")
    with running_host() as kedge:
        run = kedge.client.run(document, parameters={"every": len(FOUND)})
        assert kedge.client.wait(run["run_id"])["state"] == "SUCCEEDED", kedge.client.tasks(run["run_id"])
        found: dict[str, list[dict[str, Any]]] = {}
        for task in kedge.client.tasks(run["run_id"]):
            if task["type"] == "RUNTIME":
                found.setdefault(task["task_id"].rpartition(".")[2], []).append(task)
        return found


def _output(task: dict[str, Any]) -> Any:
    return TaskView.from_json(task).outputs["parameters"]["Output"]


def test_a_step_sees_the_gpus_that_it_asked_for(tasks: dict[str, list[dict[str, Any]]]) -> None:
    assert [_output(task) for task in tasks["count"]] == [len(FOUND)]


def test_a_step_that_asked_for_none_sees_none(tasks: dict[str, list[dict[str, Any]]]) -> None:
    assert [_output(task) for task in tasks["count-2"]] == [0]


def test_steps_take_turns_and_use_the_gpu_from_warm_interpreters(tasks: dict[str, list[dict[str, Any]]]) -> None:
    spans = sorted((task["start_time"], task["end_time"]) for task in tasks["fill"])
    assert len(spans) == 4
    if len(FOUND) == 1:
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
