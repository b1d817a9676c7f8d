"""The cost of a step, through everything: pipeline, engine, API, node, supervisor, launcher, commit.

Floors, in the same run: fork and wait of the same interpreter; the same interpreter started to do nothing.
"""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from kedge import dsl
from kedge.kube.clock import parse_timestamp
from kedge.pipelines import compiler, documents
from kedge.testing.host import RunningHost, running_host

CHAIN = 200
COLD_CHAIN = 30
ITEMS = 1000


@dsl.component(base_image=f"python:{sys.version_info.major}.{sys.version_info.minor}")
def add(number: int) -> int:
    """One parameter in, one out."""
    return number + 1


def chain_of(length: int) -> Any:
    """A pipeline of ``length`` steps, each on the result of the one before."""

    @dsl.pipeline(name=f"chain-{length}")
    def chain(start: int = 0) -> None:
        number: Any = start
        for _ in range(length):
            task = add(number=number)
            task.set_caching_options(False)
            number = task.output

    return chain


@dsl.pipeline(name="loop")
def loop() -> None:
    """A loop over many items."""
    with dsl.ParallelFor(list(range(ITEMS))) as item:
        add(number=item).set_caching_options(False)


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    fork, bare = fork_and_wait(), interpreter()
    rows: list[dict[str, Any]] = []
    with running_host({"KEDGE_WARM": "0"}) as kedge:
        submit(kedge, chain_of(3))
        cold = per_step(kedge, chain_of(COLD_CHAIN))
    rows.append({"name": "step in a fresh interpreter, p50", "value": cold, "unit": "ms", "limit": bare + 25, "floor": bare})
    with running_host() as kedge:
        submit(kedge, chain_of(3))
        warm = per_step(kedge, chain_of(CHAIN))
        hub = psutil.Process(kedge.host.pid)
        before = hub.memory_info().rss
        start = time.perf_counter()
        submit(kedge, loop)
        took = time.perf_counter() - start
        grown = (hub.memory_info().rss - before) / 1e6
    limit = min(10.0, 11 * fork)
    rows.append(
        {
            "name": f"step from a warm interpreter, chain of {CHAIN}, p50",
            "value": warm,
            "unit": "ms",
            "limit": limit,
            "floor": fork,
        }
    )
    rows.append(
        {"name": f"ParallelFor over {ITEMS} items", "value": took, "unit": "s", "limit": 8.0, "floor": ITEMS * fork / 1e3}
    )
    rows.append({"name": "... memory of the hub grows by", "value": grown, "unit": "MB", "limit": 60, "floor": 0.0})
    return rows


def submit(kedge: RunningHost, pipeline: Any) -> Any:
    """Run a pipeline to its end and return the run."""
    return submit_document(kedge, compiler.compile_pipeline(pipeline))


def submit_document(kedge: RunningHost, document: documents.Document) -> Any:
    """Run what was compiled to its end and return the run."""
    run = kedge.client.run(document)
    return kedge.client.wait(run["run_id"])


def per_step(kedge: RunningHost, pipeline: Any) -> float:
    """Milliseconds from the end of one step to the end of the next, median."""
    return per_step_of(kedge, compiler.compile_pipeline(pipeline))


def per_step_of(kedge: RunningHost, document: documents.Document) -> float:
    """The same for what was compiled."""
    done = submit_document(kedge, document)
    tasks = [task for task in kedge.client.tasks(done["run_id"]) if task.get("end_time") and task["type"] == "RUNTIME"]
    ends = sorted(parse_timestamp(task["end_time"]) for task in tasks)
    return statistics.median((b - a).total_seconds() for a, b in itertools.pairwise(ends)) * 1e3


def fork_and_wait(rounds: int = 200) -> float:
    """Milliseconds for a fork and a wait of a small interpreter, median."""
    program = (
        "import os, time, statistics\n"
        "def once():\n"
        "    start = time.perf_counter(); pid = os.fork()\n"
        "    if not pid: os._exit(0)\n"
        "    os.waitpid(pid, 0); return time.perf_counter() - start\n"
        f"print(statistics.median(once() for _ in range({rounds})) * 1e3)"
    )
    return float(subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True).stdout)


def interpreter(rounds: int = 20) -> float:
    """Milliseconds for the interpreter to start and do nothing, median."""
    return (
        statistics.median(_timed(lambda: subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)) for _ in range(rounds))
        * 1e3
    )


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
