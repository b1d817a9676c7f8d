"""A step that cannot start says why, in plain words, while it waits and long after its Pod is gone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hosts import StartHost
from objects import forget

from kedge.kube.core import EVENT, POD
from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)

IMAGE = "registry.example/team/tool:1"
PIPELINE = """
from kedge import dsl
from kedge.dsl import kubernetes

@dsl.component
def step():
    pass

@dsl.component
def hold(folder: str):
    import os, time
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)

@dsl.component(packages_to_install=["six==1.16.0"])
def packed():
    pass

@dsl.pipeline
def secret():
    kubernetes.use_secret_as_env(step(), secret_name="not-there", secret_key_to_env={"key": "VALUE"})

@dsl.container_component
def somewhere():
    return dsl.ContainerSpec(image="registry.example/team/tool:1", command=["tool"])

@dsl.pipeline
def image():
    somewhere()

@dsl.pipeline
def selector():
    kubernetes.add_node_selector(step(), label_key="disk", label_value="fast")

@dsl.pipeline
def queue(place: str):
    hold(folder=place)
    hold(folder=place)
    hold(folder=place)

@dsl.pipeline
def build():
    packed()
"""


def started(host: RunningHost, folder: Path, name: str, **parameters: str) -> str:
    path = folder / "pipelines.py"
    path.write_text(PIPELINE)
    run = host.client.run(compile_file(path, pipeline_name=name), parameters=parameters, cache=False)
    return str(run["run_id"])


def told(host: RunningHost, run: str, wanted: Callable[[str], bool]) -> str:
    """The first reason why a step waits that is the wanted one."""
    for change in host.client.watch(run):
        assert "run" not in change, change
        if wanted(reason := change.get("waiting_reason", "")):
            return str(reason)
    raise AssertionError("the watch ended")


def events(host: RunningHost, run: str, reason: str) -> list[dict[str, Any]]:
    """What is kept of one reason; it is written within a second or two."""
    for _ in host.client.watch(run):
        pass  # until the run is over
    while not (found := [one for one in host.client.events(run) if one["reason"] == reason]):
        pass  # the test's own time limit
    return found


def test_a_missing_secret_is_still_named_when_pod_and_event_are_gone(own_either_host: RunningHost, tmp_path: Path) -> None:
    run = started(own_either_host, tmp_path, "secret")
    (said,) = events(own_either_host, run, "Failed")
    assert said["type"] == "Warning"
    assert 'secret "not-there" not found' in said["message"]
    forget(own_either_host, POD, EVENT)
    own_either_host.kill()
    own_either_host.start()
    table = own_either_host.cli("runs", "events", run, "step", check=True).stdout.splitlines()
    assert table[0].split() == ["LAST", "TYPE", "REASON", "TASK", "MESSAGE"]
    (row,) = (row for row in table if 'secret "not-there" not found' in row)
    assert row.split()[1:4] == ["Warning", "Failed", "step"]
    attempts = own_either_host.client.task(run, "step")["attempts"]
    assert "Failed" in [event["reason"] for event in attempts[0]["events"]]
    own_either_host.client.delete(run)
    assert own_either_host.cli("runs", "events", run).returncode == 1


def test_an_image_that_cannot_be_had_is_named(either_host: RunningHost, tmp_path: Path) -> None:
    run = started(either_host, tmp_path, "image")
    while not [one for one in either_host.client.events(run) if one["type"] == "Warning" and IMAGE in one["message"]]:
        pass  # the test's own time limit
    either_host.client.delete(run)


def test_what_no_node_may_run_waits_and_says_so(either_host: RunningHost, tmp_path: Path) -> None:
    run = started(either_host, tmp_path, "selector")
    reason = told(either_host, run, lambda reason: reason.startswith("no node can take it: "))
    shown = either_host.cli("runs", "show", run, check=True).stdout
    assert "no node can take it: " in shown
    either_host.client.cancel(run)
    said = events(either_host, run, "FailedScheduling")
    assert said[0]["type"] == "Warning"
    assert reason.removeprefix("no node can take it: ") in said[0]["message"]


def test_a_step_in_the_queue_says_how_many_are_before_it(start_host: StartHost, shared: Path, tmp_path: Path) -> None:
    with start_host({"KEDGE_MAX_PODS": "1"}) as host:
        run = started(host, tmp_path, "queue", place=str(shared))
        assert told(host, run, lambda reason: reason == "waits for its turn on the node: 1 step is before it")  # the last one's
        (shared / "go").touch()
        assert host.client.wait(run)["state"] == "SUCCEEDED"
        assert {one["reason"] for one in host.client.events(run)} <= {"Started"}, "of waiting nothing is said"


def test_an_environment_that_is_built_is_named(start_host: StartHost, tmp_path: Path) -> None:
    with start_host({"KEDGE_CACHE": str(tmp_path / "cache")}) as host:
        run = started(host, tmp_path, "build")
        (said,) = events(host, run, "BuildingEnvironment")
        assert "six==1.16.0" in said["message"]
        assert events(host, run, "BuiltEnvironment")
        found = json.loads(host.cli("runs", "events", run, "-o", "json", check=True).stdout)
        # Of a step that takes longer than a second it is told that it started, too.
        assert [one["reason"] for one in found if one["reason"] != "Started"] == ["BuildingEnvironment", "BuiltEnvironment"]


def test_what_is_not_there_is_said(either_host: RunningHost, tmp_path: Path) -> None:
    run = started(either_host, tmp_path, "secret")
    refused = either_host.cli("runs", "events", run, "nowhere")
    assert refused.returncode == 1
    assert "has no task 'nowhere'. Its steps: step." in refused.stderr
