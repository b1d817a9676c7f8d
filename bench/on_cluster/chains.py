"""Chains of steps beside bare Pods: how long from a task being ready to the next one being ready, in turns with bare Pods."""

import asyncio
import itertools
import statistics
from collections.abc import Callable
from datetime import datetime
from typing import Any

from place import Hub, Place

from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Obj

ROUNDS = 3
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
IMAGE = "python:3.11"


def beside(
    place: Place, hub: Hub, chain: Callable[[int], Any], pod: Callable[[str], Obj], each: int
) -> tuple[list[float], list[float], float]:
    """Run steps and bare Pods in turns.

    Args:
        place: Where.
        hub: Whose steps.
        chain: Makes a pipeline of so many steps, each waiting for the one before.
        pod: Makes a bare Pod of a name.
        each: How many of both.

    Returns:
        Seconds of each step, of each Pod, and how many writes Kedge's client made for a step.
    """
    return asyncio.run(_beside(place, hub, chain, pod, each))


async def _beside(
    place: Place, hub: Hub, chain: Callable[[int], Any], pod: Callable[[str], Obj], each: int
) -> tuple[list[float], list[float], float]:
    steps: list[float] = []
    pods: list[float] = []
    writes = 0
    length = each // ROUNDS + 1
    async with place.bare(hub.namespace) as bare:
        await asyncio.to_thread(hub.submit, chain(2))  # brings the launcher, loads what is loaded once
        await bare.time(pod("first"))
        for turn in range(ROUNDS):
            log = place.audit_log.stat().st_size
            run = await asyncio.to_thread(hub.submit, chain(length))
            steps += between(hub, run)
            writes += written(place, log, hub.namespace)
            pods += [await bare.time(pod(f"bare-{turn}-{number}")) for number in range(length - 1)]
    return steps, pods, writes / (ROUNDS * length)


def between(hub: Hub, run: Any) -> list[float]:
    """Seconds from the end of each step to the end of the next: that is when the one after is ready."""
    tasks = [task for task in hub.client.tasks(run["run_id"]) if task["type"] == "RUNTIME"]
    ends: list[datetime] = sorted(parse_timestamp(task["end_time"]) for task in tasks)
    return [(after - before).total_seconds() for before, after in itertools.pairwise(ends)]


def written(place: Place, offset: int, namespace: str) -> int:
    """The writes that Kedge made in a namespace, from a position of the audit log on."""
    return sum(
        event["verb"] in WRITES and (event.get("objectRef") or {}).get("namespace") == namespace for event in place.asked(offset)
    )


def row(name: str, steps: list[float], pods: list[float], limit: float) -> dict[str, Any]:
    """What steps took, beside Pods; the budget is a multiple of what a Pod took."""
    floor = statistics.median(pods)
    return {"name": name, "value": statistics.median(steps), "unit": "s", "limit": limit * floor, "floor": floor}
