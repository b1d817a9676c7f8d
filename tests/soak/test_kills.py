"""A whole host is killed at 200 moments, each of which follows from a seed: every run ends as the undisturbed one does.

The pipeline has loops, conditions, retries and exit handlers. Each attempt appends its Pod's UID to a file outside of what Kedge
keeps: that file equals the table of attempts, each once. Where the supervisor is killed too, nobody has seen how its steps ended:
such an attempt is tried again, and it alone may be missing in the file.

Every test run takes the first few seeds; `make soak` takes all of them.
"""

import contextlib
import os
import random  # noqa: TID251  # kills at moments that follow from a seed
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hosts import shared_folder

from kedge.pipelines.compiler import compile_file
from kedge.pipelines.documents import Document
from kedge.supervisor import protocol
from kedge.testing.host import RunningHost, running_host

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]
SEEDS = 200
ALWAYS = 4  # seeds that every test run takes
PATIENCE = 60.0

PIPELINE = """
from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus

@dsl.component
def work(folder: str, n: int) -> int:
    import os, time
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    time.sleep(0.02)
    failures = f"{folder}/failures-{n}"
    seen = os.path.getsize(failures) if os.path.exists(failures) else 0
    if n % 3 == 0 and seen < 2:
        with open(failures, "a") as file:
            file.write(".")
        raise RuntimeError("on purpose: fails twice")
    return n * n

@dsl.component
def broken(folder: str, n: int) -> int:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    raise RuntimeError(f"on purpose: {n} always fails")

@dsl.component
def note(folder: str, text: str) -> str:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    return text

@dsl.component
def total(folder: str, numbers: list, out: dsl.Output[dsl.Dataset]) -> int:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    with open(out.path, "w") as file:
        file.write(str(numbers))
    return sum(numbers)

@dsl.component
def read(folder: str, data: dsl.Input[dsl.Dataset]) -> str:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    with open(data.path) as file:
        return file.read()

@dsl.component
def report(folder: str, status: PipelineTaskFinalStatus) -> str:
    import os
    with open(folder + "/ran", "a") as file:
        file.write(os.environ["KEDGE_POD_UID"] + "\\n")
    return status.state

@dsl.pipeline
def pipeline(folder: str):
    with dsl.ExitHandler(report(folder=folder), name="good"):
        with dsl.ParallelFor([0, 1, 2, 3], parallelism=2) as n:
            made = work(folder=folder, n=n).set_retry(2, backoff_duration="0s")
            with dsl.If(made.output > 3):
                note(folder=folder, text="large")
            with dsl.Else():
                note(folder=folder, text="small")
        summed = total(folder=folder, numbers=dsl.Collected(made.output))
        with dsl.If(summed.outputs["Output"] == 14):
            read(folder=folder, data=summed.outputs["out"])
        with dsl.Else():
            note(folder=folder, text="never")
    with dsl.ExitHandler(report(folder=folder), name="bad"):
        failed = broken(folder=folder, n=7).set_retry(1, backoff_duration="0.05s")
        note(folder=folder, text="skipped").after(failed)
"""


@dataclass(frozen=True)
class End:
    """What a run has come to: as far as it must be the same each time."""

    state: str
    tasks: dict[str, tuple[str, Any]]


class Runs:
    """Runs of the pipeline on one host, and what comes of one that nothing disturbs."""

    def __init__(self, kedge: RunningHost, place: Path) -> None:
        self.kedge, self._place = kedge, place
        file = place / "pipeline.py"
        file.write_text(PIPELINE)
        self._document: Document = compile_file(file, pipeline_name="pipeline")
        self.ended(self.start("first")[0])  # makes the interpreters
        start = time.monotonic()
        run, folder = self.start("undisturbed")
        self.expected = self.ended(run)
        self.seconds = time.monotonic() - start
        assert self.expected.state == "FAILED"  # of its two halves one is broken
        self.check_attempts(run, folder)

    def start(self, name: str) -> tuple[str, Path]:
        """Start one; its steps leave their marks in a folder that they see."""
        folder = self._place / name
        folder.mkdir()
        run = self.kedge.client.run(self._document, parameters={"folder": str(folder)}, cache=False, name=name)
        return run["run_id"], folder

    def ended(self, run: str) -> End:
        """Wait for its end."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.kedge.client.get(run)).get("finished_at"):
            assert time.monotonic() < deadline, f"after {PATIENCE} s: {self.kedge.client.tasks(run)}"
            time.sleep(0.02)  # noqa: TID251  # nobody tells this process
        tasks = self.kedge.client.tasks(run)
        return End(found["state"], {task["id"]: (task["state"], task.get("outputs", {}).get("parameters")) for task in tasks})

    def check_attempts(self, run: str, folder: Path) -> None:
        """The marks equal the table of attempts, each once; what was lost with its supervisor may have left one."""
        marks = Counter((folder / "ran").read_text().split())
        attempts = [attempt for task in self.kedge.client.tasks(run) for attempt in task.get("attempts", ())]
        lost = {a.get("pod_uid") for a in attempts if a["state"] != "SUCCEEDED" and "on purpose" not in str(a.get("error"))}
        table = Counter(attempt.get("pod_uid") for attempt in attempts)
        assert marks == Counter({uid: count for uid, count in table.items() if uid not in lost or uid in marks})

    def kill(self, *, supervisor: bool) -> None:
        """End the hub at once, and its supervisor just before it."""
        if supervisor:
            with contextlib.suppress(OSError):  # it is just being started, by the hub
                os.kill(supervisor_pid(self.kedge), signal.SIGKILL)
        self.kedge.kill()


def supervisor_pid(kedge: RunningHost) -> int:
    lines = protocol.Lines()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(kedge.home / "node" / "supervisor.sock"))
        connection.sendall(protocol.encode({"op": "hello"}))
        while not (messages := lines.feed(connection.recv(1 << 18))):
            pass
    return int(messages[0]["pid"])


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """One host, that is killed again and again."""
    with running_host() as kedge, TemporaryDirectory(dir=shared_folder()) as place:
        yield Runs(kedge, Path(place))


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[] if n < ALWAYS else [pytest.mark.soak]) for n in range(SEEDS)])
def test_a_host_killed_at_any_moment_ends_each_run_as_if_nothing_had_happened(runs: Runs, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # no secret
    supervisor = seed % 4 == 3
    run, folder = runs.start(f"seed-{seed}")
    time.sleep(chance.uniform(0, runs.seconds))  # noqa: TID251  # any moment will do
    runs.kill(supervisor=supervisor)
    runs.kedge.start()
    assert runs.ended(run) == runs.expected
    runs.check_attempts(run, folder)
