"""Two hubs of a cluster over one database: one works, and the other takes its place."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from access import Cluster
from deployed_s3 import DeployedS3
from installed import Database, Home, database, home

from kedge.errors import KedgeError
from kedge.pipelines.client import Client
from kedge.pipelines.compiler import compile_file

SECONDS = 120
SOURCE = """
from kedge import dsl

@dsl.component
def one(seconds: float) -> int:
    import time
    time.sleep(seconds)
    return 1

@dsl.pipeline
def pipeline(seconds: float):
    first = one(seconds=0.0)
    one(seconds=seconds).after(first).set_display_name("long")
"""


@pytest.fixture(scope="module")
def place(cluster: Cluster, s3: DeployedS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(cluster, s3, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture(scope="module")
def postgres(place: Home) -> Iterator[Database]:
    with database(place) as found:
        place.install("--replicas", "2", "--database-secret", "database")
        yield found


def eventually(what: str, true: Callable[[], Any], place: Home) -> Any:
    """Look until it is so, and return what it is."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            if found := true():
                return found
        except (KedgeError, RuntimeError):
            pass
        threading.Event().wait(0.5)
    raise AssertionError(f"{what}: not within {SECONDS} s{place.said()}")


def leader(place: Home) -> str:
    """The one that works, once both are there: what one gives up the other can take."""

    def found() -> str:
        ready = [
            all(one["ready"] for one in pod["status"].get("containerStatuses") or [{"ready": False}]) for pod in place.pods()
        ]
        named = leaders(place)
        return named[0] if ready == [True, True] and len(named) == 1 and holder(place).startswith(named[0]) else ""

    return eventually("two hubs of which one leads", found, place)


def leaders(place: Home) -> list[str]:
    return [pod["metadata"]["name"] for pod in place.pods("kedge.dev/leader=true")]


def holder(place: Home) -> str:
    return place.kubectl("get", "lease", "kedge", "--output", "jsonpath={.spec.holderIdentity}")


def process(place: Home, pod: str) -> int:
    """The process of a hub, where its node is this machine; 0 where not."""
    (found,) = [one for one in place.pods() if one["metadata"]["name"] == pod]
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if container in cgroup.read_text():
                return int(cgroup.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return 0


def kill(place: Home, pod: str) -> None:
    """End the process of a hub as a power cut does; where its node is not this machine, the next best thing."""
    if pid := process(place, pod):
        os.kill(pid, signal.SIGKILL)
    else:
        place.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


def started(client: Client, folder: Path, name: str) -> str:
    """The id of a run whose long step runs."""
    file = folder / "pipeline.py"
    file.write_text(SOURCE)
    run = client.run(compile_file(file), parameters={"seconds": 12.0}, name=name, cache=False)["run_id"]
    for _ in client.watch(run):
        if any(task["state"] == "RUNNING" and task.get("display_name") == "long" for task in client.tasks(run)):
            break
    return str(run)


def phases_of(place: Home, run: str) -> list[str]:
    return [pod["status"]["phase"] for pod in place.pods(f"kedge.dev/run={run}")]


@pytest.mark.usefixtures("postgres")
def test_both_are_ready_and_one_answers(place: Home) -> None:
    assert leader(place)


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("how", ["killed", "deleted"])
def test_a_leader_that_goes_in_the_middle_of_a_run_loses_and_repeats_nothing(place: Home, how: str, tmp_path: Path) -> None:
    before = leader(place)
    with place.client() as client:
        run = started(client, tmp_path, how)
        held = holder(place)
        if how == "killed":
            kill(place, before)
        else:
            place.kubectl("delete", "pod", before, "--wait=false")
        # Another process, not always another Pod: the killed container is started again, and may be the quicker of the two.
        eventually("another leader", lambda: holder(place) not in {"", held} and leaders(place) != [], place)
        state = eventually(
            "the run's end", lambda: (found := client.get(run))["state"] in {"SUCCEEDED", "FAILED"} and found, place
        )
        assert state["state"] == "SUCCEEDED", state
        steps = [task for task in client.tasks(run) if task.get("pod_name") or task.get("pods")]
        assert {task.get("attempt", 0) for task in steps} <= {0}
    phases = ["Succeeded", "Succeeded"]
    eventually("the end of two Pods", lambda: phases_of(place, run) == phases, place)


@pytest.mark.usefixtures("postgres")
def test_a_leader_that_was_held_up_does_nothing_when_it_goes_on(place: Home, tmp_path: Path) -> None:
    before = leader(place)
    pid = process(place, before)
    if not pid:
        pytest.skip("the node is another machine, whose processes cannot be stopped from here")
    with place.client() as client:
        run = started(client, tmp_path, "held up")
        os.kill(pid, signal.SIGSTOP)  # for longer than a lease; its kubelet may end it in the meantime
        try:
            eventually("another leader", lambda: not holder(place).startswith(before) and [before] != leaders(place) != [], place)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        state = eventually(
            "the run's end", lambda: (found := client.get(run))["state"] in {"SUCCEEDED", "FAILED"} and found, place
        )
        assert state["state"] == "SUCCEEDED", state
    eventually("the end of two Pods", lambda: phases_of(place, run) == ["Succeeded", "Succeeded"], place)
    eventually("a new start of the one that was held up", lambda: process(place, before) not in {0, pid}, place)
    assert leaders(place) != [before]


def test_a_hub_that_does_not_lead_writes_no_history(place: Home, postgres: Database) -> None:
    """Of the two, one is connected; the other one has no connection that could write."""
    rows = postgres.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kedge'")
    assert rows == [(1,)]
