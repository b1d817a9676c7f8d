"""Starting a host over what it has already done: ten thousand finished tasks, made by running them.

The tasks are real: ten runs of a loop over a thousand items, each a step in a process of its own. Then the hub is stopped and
started again, and the time runs from ``kedge up`` until ``/readyz`` answers.

Floor: the same start in a fresh data directory, in the same run.
"""

import statistics
import time
from typing import Any

from processes import hub_and_supervisor
from steps import ITEMS, loop, submit

from kedge.testing.host import RunningHost, running_host

RUNS = 10
ROUNDS = 5


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    empty = _fresh()
    with running_host() as kedge:
        start = time.perf_counter()
        finished = sum(_finished_steps(kedge, submit(kedge, loop)["run_id"]) for _ in range(RUNS))
        making = time.perf_counter() - start
        if finished != RUNS * ITEMS:
            raise RuntimeError(
                f"{finished} of {RUNS * ITEMS} steps have succeeded. The host's own words: {kedge.home / 'hub.log'}."
            )
        worn = _resident(kedge)
        orderly, crashed = [], []
        for _ in range(ROUNDS):
            kedge.stop()
            orderly.append(_start(kedge))
            kedge.kill()
            crashed.append(_start(kedge))
        kedge.stop()
        kedge.start()
        rested = _resident(kedge)
    count = f"{RUNS * ITEMS:,} finished tasks"
    return [
        {"name": f"kedge up over {count}", "value": statistics.median(orderly), "unit": "s", "limit": 1.2, "floor": empty},
        {
            "name": f"kedge up over {count}, after kill -9",
            "value": statistics.median(crashed),
            "unit": "s",
            "limit": 1.2,
            "floor": empty,
        },
        {
            "name": "resident after a restart over them (hub and supervisor)",
            "value": rested,
            "unit": "MB",
            "limit": 110,
            "floor": None,
        },
        {"name": f"resident right after those {RUNS} runs", "value": worn, "unit": "MB", "limit": None, "floor": None},
        {
            "name": f"making them: {RUNS} loops over {ITEMS:,} items",
            "value": making,
            "unit": "s",
            "limit": 8.0 * RUNS,
            "floor": None,
        },
    ]


def _fresh() -> float:
    taken: list[float] = []
    for _ in range(ROUNDS):
        with running_host(start=False) as kedge:
            taken.append(_start(kedge))
    return statistics.median(taken)


def _start(kedge: RunningHost) -> float:
    start = time.perf_counter()
    kedge.start()
    return time.perf_counter() - start


def _finished_steps(kedge: RunningHost, run_id: str) -> int:
    return sum(task["type"] == "RUNTIME" and task["state"] == "SUCCEEDED" for task in kedge.client.tasks(run_id))


def _resident(kedge: RunningHost) -> float:
    """Megabytes of the hub and its supervisor."""
    time.sleep(2)  # noqa: TID251  # let the start settle
    return sum(process.memory_info().rss for process in hub_and_supervisor(kedge)) / 1e6
