"""Killing the hub never kills a step; what ended meanwhile counts, once; what is not wanted any more is ended."""

import os
import signal
import sys
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, eventually, terminated

from kedge.client.types import Page
from kedge.kube.core import POD
from kedge.supervisor import identity

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
_WAIT_FOR_GO = "echo one; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo two; exit 4"


async def test_a_step_outlives_the_hub_and_is_adopted(node: Node) -> None:
    """The same process, its output whole, its exit code the Pod's."""
    node.pod("step", _WAIT_FOR_GO)
    await node.running("step")
    pid = node.pid("step")
    await node.restart(lambda: identity.start_time(pid))
    assert identity.start_time(pid)
    assert node.get("step")["status"]["phase"] == "Running"
    node.go("step")
    assert terminated(await node.ended("step"))["exitCode"] == 4
    assert await node.log("step") == "one\ntwo\n"
    assert node.get("step")["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_an_exit_while_the_hub_was_away_counts_once(node: Node) -> None:
    """The Pod ends as its container did, and the container is not run again."""
    node.pod("step", _WAIT_FOR_GO)
    await node.running("step")
    pid = node.pid("step")

    async def meanwhile() -> None:
        node.go("step")
        await node.gone(pid)

    await node.restart(meanwhile)
    assert terminated(await node.ended("step"))["exitCode"] == 4
    await node.restart()
    assert await node.log("step") == "one\ntwo\n"
    assert node.records() == []


async def test_an_exit_before_running_was_ever_written_counts_too(node: Node) -> None:
    """The status of a short step is written at its end only; the hub may die before."""
    node.agent._heard = lambda record: None  # type: ignore[method-assign]  # the hub dies before it hears anything
    node.agent._supervisor._on_event = lambda record: None
    pod = node.pod("step", "echo ran; exit 4")
    await eventually(lambda: any(record["state"] == "exited" for record in node.records()))
    assert pod["status"]["phase"] == "Pending"
    await node.restart()
    assert terminated(await node.ended("step"))["exitCode"] == 4
    assert await node.log("step") == "ran\n"


async def test_an_exit_while_a_new_hub_looks_around_counts(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor has said what runs, the API is being asked what should run, and just then the container ends."""
    node.pod("step", _WAIT_FOR_GO)
    await node.running("step")
    pid = node.pid("step")
    listing = node.client.list

    async def slow_listing(*arguments: Any, **options: Any) -> Page:
        if identity.start_time(pid):
            node.go("step")
            await node.gone(pid)
            await eventually(lambda: all(record["state"] == "exited" for record in node.records()))
            await node.supervisor_pid()  # whatever it had to say before has been said
        return await listing(*arguments, **options)

    monkeypatch.setattr(node.client, "list", slow_listing)
    await node.restart()
    assert terminated(await node.ended("step"))["exitCode"] == 4


async def test_a_pod_deleted_while_the_hub_was_away_is_gone_long_before_its_grace_period(node: Node) -> None:
    """However deaf it is: it had its time to end."""
    node.pod("step", "trap '' TERM; while :; do sleep 0.05; done", terminationGracePeriodSeconds=300)
    await node.running("step")
    pid = node.pid("step")
    await node.restart(lambda: node.api.delete(POD, "step", "default"))
    await node.gone(pid)


async def test_processes_of_a_pod_that_is_not_there_any_more_are_killed(node: Node) -> None:
    node.pod("step", "trap '' TERM; while :; do sleep 0.05; done", terminationGracePeriodSeconds=300)
    await node.running("step")
    pid = node.pid("step")
    await node.restart(lambda: node.api.delete(POD, "step", "default", grace_period=0))
    await node.gone(pid)
    await eventually(lambda: not node.records())
    assert list((node.settings.home / "node" / "pods").iterdir()) == []


async def test_pods_created_while_the_hub_was_away_start(node: Node) -> None:
    await node.restart(lambda: node.pod("step", "exit 0"))
    assert (await node.ended("step"))["status"]["phase"] == "Succeeded"


@linux
async def test_a_step_outlives_the_supervisor_and_its_loss_of_status_is_said(node: Node) -> None:
    """Nobody can know how it ended; the reason lets the run try again without charging the user's retries."""
    node.pod("step", _WAIT_FOR_GO)
    await node.running("step")
    pid = node.pid("step")
    await node.kill_supervisor()
    assert identity.start_time(pid)
    assert node.get("step")["status"]["phase"] == "Running"
    node.go("step")
    end = terminated(await node.ended("step"))
    assert (end["reason"], end["exitCode"]) == ("ExitStatusLost", 137)
    assert await node.log("step") == "one\ntwo\n"


@linux
async def test_pods_run_after_the_supervisor_was_killed(node: Node) -> None:
    await node.kill_supervisor()
    node.pod("step", "exit 0")
    assert (await node.ended("step"))["status"]["phase"] == "Succeeded"


async def test_a_machine_that_was_started_anew_has_lost_its_containers(node: Node) -> None:
    """A Pod that was running, of which no process and no record is left."""
    node.pod("step", "sleep 1000")
    await node.running("step")
    pid = node.pid("step")
    await node.agent.stop()
    os.kill(pid, signal.SIGKILL)
    await node.gone(pid)
    await eventually(lambda: not (node.settings.home / "node" / "supervisor.sock").exists())
    (node.settings.home / "node" / "containers.jsonl").unlink()
    await node.restart()
    assert terminated(await node.ended("step"))["reason"] == "ExitStatusLost"


async def test_going_down_ends_everything_and_says_so(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on later does not charge it to the step."""
    stop = node.agent.network.stop

    async def stop_slowly(*, end: bool = False) -> None:
        await eventually(lambda: not node.agent._supervisor.connected)  # there is no sign of it outside
        await stop(end=end)

    monkeypatch.setattr(node.agent.network, "stop", stop_slowly)
    node.pod("step", "sleep 1000")
    await node.running("step")
    pid = node.pid("step")
    await node.agent.stop_all(grace=0)
    assert not node.agent.losses.values, "another supervisor was started while the first one ended"
    status = node.get("step")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NodeShutdown")
    await node.gone(pid)
    await eventually(lambda: not (node.settings.home / "node" / "supervisor.sock").exists())
