"""Why a step does not run yet is told in plain words, while it waits."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kedge.kube.core import POD
from kedge.pipelines import reasons
from kedge.pipelines.controller import Limits
from kedge.pipelines.engine.types import Failure, Kind, State, Task, Waiting
from kedge.testing import pipelines
from kedge.testing.nodes import Machine
from kedge.testing.runs import World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def step(**changes: Any) -> Task:
    return Task(
        **{"id": "s", "name": "s", "parent": "", "kind": Kind.STEP, "waiting": Waiting.START, "created_at": NOW, **changes}
    )


def pod(reason: str = "", message: str = "", **status: Any) -> dict[str, Any]:
    waiting = {"reason": reason, "message": message}
    return {"status": {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}], **status}}


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes have gpu=yes"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (pod("ImagePullBackOff", "no such image"), "its image cannot be had: no such image"),
        (pod("CreateContainerConfigError", 'secret "s3" not found'), 'something that it needs is missing: secret "s3" not found'),
        (pod("ContainerCreating", "building Python 3.12 with pandas"), "building Python 3.12 with pandas"),
        (pod("ContainerCreating"), ""),
        (pod(conditions=[UNSCHEDULED]), "no node can take it: 0/1 nodes have gpu=yes"),
        (pod(containerStatuses=[]), "waits until its node takes it up"),
        (pod("Error", phase="Running"), ""),
    ],
    ids=["image", "secret", "environment", "creating", "unschedulable", "node has not looked", "runs"],
)
def test_what_a_pod_waits_for_is_told(told: dict[str, Any], expected: str) -> None:
    assert reasons.of(step(), told) == expected


def test_a_step_without_a_pod_waits_for_room_and_one_that_failed_for_its_time() -> None:
    assert reasons.of(step(), None) == ""
    assert reasons.of(step(), None, reasons.Around(room=False)) == reasons.NO_ROOM
    again = step(waiting=Waiting.RETRY, retry_at=NOW + timedelta(seconds=30), failure=Failure("user", "Error", "exit code 1"))
    assert reasons.of(again, None) == "is tried again at 2026-11-24T09:00:30Z after: exit code 1"
    waiting = pod(containerStatuses=[])
    assert reasons.of(step(), waiting, reasons.Around(ahead=12)) == "waits for its turn on the node: 12 steps are before it"
    assert reasons.of(step(), waiting, reasons.Around(ahead=1)) == "waits for its turn on the node: 1 step is before it"
    full = "waits for its turn on the node: other steps use its processors, memory or devices"
    assert reasons.of(step(), waiting, reasons.Around(ahead=0)) == full
    mounting = pod("ContainerCreating")
    assert reasons.of(step(), mounting, reasons.Around(warning="secret not found")) == "secret not found"
    assert reasons.of(step(state=State.RUNNING, waiting=None), pod("ErrImagePull")) == ""


async def test_a_reason_that_comes_while_a_run_is_watched_is_told(tmp_path: Path) -> None:
    async with hub(World(tmp_path, Machine(obedient)), node=False, limits=Limits(waiting_pods=1)) as life:
        two = {name: pipelines.task("add", x=1) for name in ("a", "b")}
        add = (pipelines.component("add", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("add"))
        run = await life.submit(pipelines.pipeline(two, {"add": add}))
        tasks = life.feature._endpoints.tasks
        client = life.feature.controller._client
        await life.until(lambda: list(life.feature.controller.pods_of(run)))
        found = await client.list(POD)
        (made,) = found.items
        waiting = {"reason": "ContainerCreating", "message": "building Python 3.12 with pandas"}
        status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]}
        await client.patch(POD, made["metadata"]["name"], "default", {"status": status}, subresource="status")
        seen = b""
        async with asyncio.timeout(60):
            async for piece in tasks._watch(run):
                seen += piece
                if b"building" in seen and b"waits for its turn" in seen:
                    break
        assert b"building Python 3.12 with pandas" in seen
        assert reasons.NO_ROOM.encode() in seen
