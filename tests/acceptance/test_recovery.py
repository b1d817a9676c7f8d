"""A whole host dies, at any moment and in any company: runs reach the same end, and no step runs twice for one attempt.

Each step appends a line to a file outside of what Kedge keeps, with its process; the table of attempts must say the same.
"""

import contextlib
import json
import os
import random  # noqa: TID251  # kills at moments that follow from a seed
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kedge import host as hosts
from kedge.errors import KedgeError
from kedge.pipelines.compiler import compile_file
from kedge.store.log import ObjectLog
from kedge.supervisor import identity
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)
PATIENCE = 60.0

PIPELINE = """
from kedge import dsl

@dsl.component
def hold(folder: str) -> int:
    import os, time
    with open(folder + "/ran", "a") as file:
        file.write(f"hold {os.getpid()}\\n")
    while not os.path.exists(folder + "/go"):
        open(folder + "/beats", "w").write(str(time.monotonic()))
        time.sleep(0.01)
    return 7

@dsl.component
def deaf(folder: str):
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(folder + "/ran", "a") as file:
        file.write(f"deaf {os.getpid()}\\n")
    while True:
        time.sleep(0.01)

@dsl.component
def shaky(folder: str) -> int:
    import os, time
    with open(folder + "/ran", "a") as file:
        file.write(f"shaky {os.getpid()}\\n")
    with open(folder + "/ran") as file:
        if len(file.readlines()) == 1:
            raise RuntimeError("the first time it always fails")
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)
    return 7

@dsl.component
def work(folder: str, n: int) -> int:
    import os, time
    with open(folder + "/ran", "a") as file:
        file.write(f"work-{n} {os.getpid()}\\n")
    time.sleep(0.1)
    with open(folder + "/ran") as file:
        tries = sum(line.startswith(f"work-{n} ") for line in file)
    if n % 3 == 0 and tries <= 2:
        raise RuntimeError(f"{n} fails twice")
    return n * n

@dsl.component
def total(folder: str, numbers: list) -> int:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(f"total {os.getpid()}\\n")
    return sum(numbers)

@dsl.component
def double(folder: str, n: int) -> int:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(f"double {os.getpid()}\\n")
    return 2 * n


@dsl.pipeline
def holding(folder: str) -> int:
    return double(folder=folder, n=hold(folder=folder).output).output

@dsl.pipeline
def ignoring(folder: str):
    deaf(folder=folder)

@dsl.pipeline
def once_more(folder: str) -> int:
    held = shaky(folder=folder).set_retry(1, backoff_duration="0s")
    return double(folder=folder, n=held.output).output

@dsl.pipeline
def looping(folder: str) -> int:
    with dsl.ParallelFor(list(range(7)), parallelism=3) as n:
        made = work(folder=folder, n=n).set_retry(2, backoff_duration="0s")
    summed = total(folder=folder, numbers=dsl.Collected(made.output))
    return double(folder=folder, n=summed.output).output
"""


class Marked:
    """A run on a host that is about to suffer, and the file in which its steps leave their marks."""

    def __init__(self, kedge: RunningHost, pipeline: str, folder: Path) -> None:
        self._kedge = kedge
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "pipeline.py"
        file.write_text(PIPELINE)
        document = compile_file(file, pipeline_name=pipeline)
        self.id = kedge.client.run(document, parameters={"folder": str(self.folder)}, cache=False)["run_id"]

    @property
    def ran(self) -> list[tuple[str, int]]:
        """Each process that ran a step, as it said itself."""
        marks = self.folder / "ran"
        lines = marks.read_text().splitlines() if marks.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def pid(self, count: int = 1) -> int:
        """Process of the ``count``-th attempt that has begun, once it has."""
        until(lambda: len(self.ran) >= count, "no step has begun")
        return self.ran[count - 1][1]

    def beats(self) -> None:
        """Return when the step that waits has shown that it runs."""
        file = self.folder / "beats"

        def beat() -> str:
            return file.read_text() if file.exists() else ""

        before = beat()
        until(lambda: beat() not in {"", before}, "the step does not go on")

    def go(self) -> None:
        """Let the step that waits end."""
        (self.folder / "go").touch()

    def ended(self) -> dict[str, Any]:
        """Wait for the run's end, whatever happens to the host meanwhile."""
        until(lambda: self._get().get("finished_at"), "the run has not ended")
        return self._get()

    def _get(self) -> dict[str, Any]:
        with contextlib.suppress(KedgeError, httpx.HTTPError):
            return self._kedge.client.get(self.id)
        return {}

    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["id"]: task for task in self._kedge.client.tasks(self.id)}

    def result(self) -> int:
        """What the run has computed."""
        assert self.ended()["state"] == "SUCCEEDED", self.failures()
        return self.tasks()[""]["outputs"]["parameters"]["Output"]

    def failures(self) -> str:
        """Each attempt that failed, and why, a line each: what a report of the test must show."""
        return "\n".join(
            f"{task['id']} attempt {attempt['attempt']}: {attempt['state']} {attempt.get('error', {}).get('message', '')[:300]!r}"
            for task in self.tasks().values()
            for attempt in task.get("attempts") or ()
            if attempt["state"] != "SUCCEEDED"
        )

    def attempts(self) -> Counter[str]:
        """How often each step was tried, as the history says; named like the marks."""
        found: Counter[str] = Counter()
        for task in self.tasks().values():
            if task.get("attempts"):
                name = task["id"].rpartition(".")[2]
                number = task["id"].split(".")[-2] if "." in task["id"] else ""
                found[f"{name}-{number}" if number else name] += len(task["attempts"])
        return found

    def marks(self) -> Counter[str]:
        """How often each step ran."""
        return Counter(name for name, _ in self.ran)


def until(condition: Callable[[], Any], missing: str, within: float = PATIENCE) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"after {within} s {missing}"
        time.sleep(0.01)  # noqa: TID251  # nobody tells this process


def supervisor_pid(kedge: RunningHost) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(kedge.home / "node" / "supervisor.sock"))
        connection.sendall(b'{"op": "hello"}\n')
        with connection.makefile() as answers:
            return int(json.loads(answers.readline())["pid"])


def test_a_step_outlives_the_hub_and_its_result_is_used_once(own_either_host: RunningHost, shared: Path) -> None:
    """The same process, under the next hub."""
    run = Marked(own_either_host, "holding", shared)
    run.pid()
    own_either_host.kill()
    run.beats()
    own_either_host.start()
    run.beats()
    run.go()
    assert run.result() == 14
    assert run.marks() == run.attempts() == {"hold": 1, "double": 1}


def test_a_step_that_ends_while_the_hub_is_down_counts_once(own_either_host: RunningHost, shared: Path) -> None:
    run = Marked(own_either_host, "holding", shared)
    pid = run.pid()
    own_either_host.kill()
    run.go()
    time.sleep(1)  # noqa: TID251  # it may end, or wait for the hub to take its outputs: both are right
    own_either_host.start()
    assert run.result() == 14
    assert run.ran[0][1] == pid
    assert run.marks() == run.attempts() == {"hold": 1, "double": 1}
    own_either_host.kill()
    own_either_host.start()
    assert run.result() == 14
    assert run.marks() == {"hold": 1, "double": 1}


def give_much_time(kedge: RunningHost) -> None:
    """Let the Pods of a host that is down have a grace period longer than any of these tests: of one that is made, nobody may."""
    with contextlib.closing(ObjectLog(kedge.home / "objects.db")) as log:
        for record in log.list("/registry/pods/default/").records:
            pod = json.loads(record.value or b"")
            pod["spec"]["terminationGracePeriodSeconds"] = 3600
            log.update(record.key, json.dumps(pod).encode(), record.revision)


def test_a_cancelled_run_is_gone_soon_after_the_hub_is_back(own_host: RunningHost, shared: Path) -> None:
    """However deaf its steps are, however long they have, and although the hub had no time to tell them."""
    run = Marked(own_host, "ignoring", shared)
    pid = run.pid()
    own_host.client.cancel(run.id)
    own_host.kill()
    give_much_time(own_host)
    own_host.start()
    until(lambda: not identity.start_time(pid), "the process runs on")
    assert run.ended()["state"] == "CANCELED"
    assert run.marks() == {"deaf": 1}


def test_a_deleted_pod_is_gone_soon_after_the_hub_is_back(own_host: RunningHost, shared: Path) -> None:
    """What a user does with kubectl holds, too; the run goes on with another attempt, which is no fault of the step's."""
    run = Marked(own_host, "ignoring", shared)
    pid = run.pid()
    pods = f"{own_host.host.http}/api/v1/namespaces/default/pods"
    headers = {"Authorization": f"Bearer {own_host.host.token}"}
    [pod] = httpx.get(pods, headers=headers, timeout=PATIENCE).json()["items"]
    slow = {"gracePeriodSeconds": "3600"}
    httpx.delete(f"{pods}/{pod['metadata']['name']}", params=slow, headers=headers, timeout=PATIENCE).raise_for_status()
    own_host.kill()
    own_host.start()
    until(lambda: not identity.start_time(pid), "the process runs on")
    own_host.client.cancel(run.id)
    assert run.ended()["state"] == "CANCELED"
    until(lambda: not any(identity.start_time(each) for _, each in run.ran), "a process runs on")


def test_down_and_up_go_on_with_a_run_and_charge_it_nothing(own_host: RunningHost, shared: Path) -> None:
    """The step has used up its only retry by itself; that the host went down is not its fault."""
    run = Marked(own_host, "once_more", shared)
    pid = run.pid(2)
    own_host.cli("down", check=True)
    assert not identity.start_time(pid)
    own_host.cli("up", "--detach", check=True)
    found = hosts.find(own_host.settings)
    assert found
    own_host.host = found
    run.pid(3)
    run.go()
    assert run.result() == 14
    assert run.marks() == run.attempts() == {"shaky": 3, "double": 1}


@pytest.mark.parametrize("meanwhile", [True, False], ids=["ends before the restart", "ends after the restart"])
def test_a_run_ends_right_when_hub_and_supervisor_die_together(own_host: RunningHost, shared: Path, *, meanwhile: bool) -> None:
    """Nobody saw how the step ended: it is tried again, unless its result had been taken."""
    run = Marked(own_host, "holding", shared)
    pid = run.pid()
    supervisor = supervisor_pid(own_host)
    os.kill(supervisor, signal.SIGKILL)
    own_host.kill()
    assert identity.start_time(pid)
    if meanwhile:
        run.go()
        time.sleep(1)  # noqa: TID251  # it may end, or wait for the hub to take its outputs: both are right
    own_host.start()
    run.go()
    assert run.result() == 14
    assert run.marks() == run.attempts()
    assert run.marks()["double"] == 1


@pytest.mark.slow
@pytest.mark.once_on_a_cluster
@pytest.mark.parametrize("seed", range(3))
def test_a_hub_killed_at_any_moment_reaches_the_same_end(own_either_host: RunningHost, shared: Path, seed: int) -> None:
    """A loop with retries, undisturbed and then with a dozen kills: the same result, and each attempt ran once."""
    undisturbed = Marked(own_either_host, "looping", shared / "undisturbed")
    expected = undisturbed.result()
    assert expected == 2 * sum(n * n for n in range(7))
    chance = random.Random(seed)  # noqa: S311  # no secret
    run = Marked(own_either_host, "looping", shared / "disturbed")
    for _ in range(12):
        time.sleep(chance.uniform(0, 0.4))  # noqa: TID251  # any moment will do
        own_either_host.kill()
        own_either_host.start()
    assert run.result() == expected
    assert run.marks() == undisturbed.marks() == {"total": 1, "double": 1} | {f"work-{n}": 1 if n % 3 else 3 for n in range(7)}
    assert run.attempts() == run.marks()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_hub_and_supervisor_killed_in_any_order_reach_the_same_end(own_host: RunningHost, shared: Path, seed: int) -> None:
    """What was lost with the supervisor is tried again, and the retries of the user are not used up by that."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    run = Marked(own_host, "looping", shared)
    for _ in range(6):
        time.sleep(chance.uniform(0, 0.6))  # noqa: TID251  # any moment will do
        first = chance.random() < 0.5
        if first:
            own_host.kill()
        with contextlib.suppress(OSError, ValueError):  # it is just being started, by the hub, or ends in the middle of an answer
            os.kill(supervisor_pid(own_host), signal.SIGKILL)
        if first:
            own_host.start()
    assert run.result() == 2 * sum(n * n for n in range(7))
    assert run.marks() <= run.attempts()
    until(lambda: not any(identity.start_time(pid) for _, pid in run.ran), "a process runs on")
