"""Large runs: a loop whose artifacts one step collects, five thousand tasks beside five hundred, a restart over a thousand steps.

Floor of the loop: as many forks of the same interpreter. Of a run's memory: none. Of the restart: one over an empty directory.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from steps import fork_and_wait, submit, submit_document

from kedge import dsl
from kedge.pipelines import compiler
from kedge.testing.host import RunningHost, running_host

ITEMS = 1000
FEW, MANY = 500, 5000
RUNNING = 1000
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}"


@dsl.component(base_image=IMAGE)
def write(number: int, out: dsl.Output[dsl.Dataset]) -> None:
    """One artifact."""
    with open(out.path, "w") as file:  # noqa: PTH123  # as people write it
        file.write(str(number))


@dsl.component(base_image=IMAGE)
def read_all(parts: dsl.Input[list[dsl.Dataset]]) -> int:
    """All of them."""
    total = 0
    for part in parts:
        with open(part.path) as file:  # noqa: PTH123  # as people write it
            total += int(file.read())
    return total


@dsl.component(base_image=IMAGE)
def add(number: int) -> int:
    """One parameter in, one out."""
    return number + 1


@dsl.component(base_image=IMAGE)
def wait(number: int, folder: str) -> int:
    """Wait until a file is there."""
    import os  # noqa: PLC0415  # a step imports what it needs
    import time  # noqa: PLC0415

    while not os.path.exists(folder + "/go"):  # noqa: PTH110
        time.sleep(1)  # noqa: TID251
    return number


@dsl.pipeline(name="collected")
def collected() -> int:
    """An artifact for each item, all of them read by one step."""
    with dsl.ParallelFor(list(range(ITEMS))) as item:
        made = write(number=item).set_caching_options(False)
    return read_all(parts=dsl.Collected(made.outputs["out"])).set_caching_options(False).output


def loop_of(count: int) -> Any:
    """A loop over so many items."""

    @dsl.pipeline(name=f"loop-{count}")
    def loop() -> None:
        with dsl.ParallelFor(list(range(count))) as item:
            add(number=item).set_caching_options(False)

    return loop


@dsl.pipeline(name="waiting")
def waiting(folder: str) -> None:
    """As many steps that run at once."""
    with dsl.ParallelFor(list(range(RUNNING))) as item:
        wait(number=item, folder=folder).set_caching_options(False)


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    return [*_collected(), *_grown(), *_recovered()]


def _collected() -> list[dict[str, Any]]:
    fork = fork_and_wait()
    document = compiler.compile_pipeline(collected)
    with running_host() as kedge:
        submit(kedge, loop_of(3))
        start = time.perf_counter()
        done = submit_document(kedge, document)
        took = time.perf_counter() - start
        root = next(task for task in kedge.client.tasks(done["run_id"]) if not task["id"])
        if root["outputs"]["parameters"]["Output"] != sum(range(ITEMS)):
            raise RuntimeError(f"the step collected {root['outputs']}, not every artifact")
    name = f"ParallelFor over {ITEMS:,} items with an artifact each, Collected"
    return [{"name": name, "value": took, "unit": "s", "limit": 12.0, "floor": ITEMS * fork / 1e3}]


def _grown() -> list[dict[str, Any]]:
    with running_host() as kedge:
        submit(kedge, loop_of(3))
        few = _seconds(kedge, FEW) / FEW
        hub = psutil.Process(kedge.host.pid)
        before = hub.memory_info().rss
        many = _seconds(kedge, MANY) / MANY
        grown = (hub.memory_info().rss - before) / 1e6
    return [
        {
            "name": f"a run of {MANY:,} tasks: memory of the hub grows by",
            "value": grown,
            "unit": "MB",
            "limit": 150,
            "floor": 0.0,
        },
        {
            "name": f"... a task, in times of one in a run of {FEW}",
            "value": many / few,
            "unit": "x",
            "limit": 1.5,
            "floor": None,
        },
        {"name": f"... a task, in a run of {FEW}", "value": few * 1e3, "unit": "ms", "limit": None, "floor": None},
    ]


def _seconds(kedge: RunningHost, count: int) -> float:
    document = compiler.compile_pipeline(loop_of(count))
    start = time.perf_counter()
    submit_document(kedge, document)
    return time.perf_counter() - start


def _recovered() -> list[dict[str, Any]]:
    """Restarts over running steps: until the hub is ready and its view of them is whole."""
    environ = {"KEDGE_MAX_PODS": str(RUNNING + 10), "KEDGE_DEFAULT_CPU": "0.0001", "KEDGE_DEFAULT_MEMORY": "1000"}
    with running_host(environ) as kedge:
        folder = kedge.home / "gate"
        folder.mkdir()
        run_id = kedge.client.run(compiler.compile_pipeline(waiting), parameters={"folder": str(folder)}, cache=False)["run_id"]
        _until_running(kedge, run_id)
        taken: list[float] = []
        for _ in range(3):
            kedge.kill()
            start = time.perf_counter()
            kedge.start()
            taken.append(time.perf_counter() - start)
        begun = _running(kedge, run_id)
        (folder / "go").touch()
        kedge.client.wait(run_id)
    if begun != RUNNING:
        raise RuntimeError(f"after the restart {begun} of {RUNNING} steps run")
    name = f"kedge up over {RUNNING:,} running tasks, after kill -9"
    return [{"name": name, "value": statistics.median(taken), "unit": "s", "limit": 2.0, "floor": None}]


def _running(kedge: RunningHost, run_id: str) -> int:
    return sum(task["state"] == "RUNNING" and task["type"] == "RUNTIME" for task in kedge.client.tasks(run_id))


def _until_running(kedge: RunningHost, run_id: str) -> None:
    deadline = time.monotonic() + 180
    while (count := _running(kedge, run_id)) < RUNNING:
        if time.monotonic() > deadline:
            raise RuntimeError(f"after 180 s {count} of {RUNNING} steps run. See {Path(kedge.home, 'hub.log')}.")
        time.sleep(1)  # noqa: TID251  # nobody tells this process
