"""The Node object's heartbeats, with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.config import Settings
from kedge.kube.core import LEASE, NODE
from kedge.kube.kinds import Obj
from kedge.node.admission import Size
from kedge.node.registration import Registration
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock


class Beating:
    """A node whose heart beats."""

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.api = memory_api(clock=self.clock, namespaces=("kube-node-lease",))
        size = Size(2.0, 1 << 30, (("nvidia.com/gpu", 1.0),))
        self.registration = Registration(LocalClient(self.api), self.clock, Settings(home, home), "here", size)

    async def beat(self, times: int = 1) -> None:
        """Let heartbeats pass."""
        for _ in range(times):
            await self.clock.advance(10)
            async with asyncio.timeout(60):
                while not self.clock.sleeping():  # noqa: ASYNC110  # the machine is looked at in a thread
                    await asyncio.sleep(0.001)

    def renewed(self) -> str:
        return self.api.get(LEASE, "here", "kube-node-lease")["spec"]["renewTime"]

    def node(self) -> Obj:
        return self.api.get(NODE, "here")

    def version(self) -> Any:
        return self.node()["metadata"]["resourceVersion"]


@pytest.fixture
async def beating(tmp_path: Path) -> AsyncIterator[Beating]:
    """A node that is registered."""
    made = Beating(tmp_path)
    await made.registration.register()
    task = asyncio.create_task(made.registration.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_heartbeat_renews_the_lease_and_leaves_a_node_that_has_not_changed_alone(beating: Beating) -> None:
    assert beating.node()["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    version = beating.version()
    await beating.beat(3)
    assert beating.renewed() == "2026-01-01T00:00:30.000000Z"
    assert beating.version() == version
    await beating.beat(30)
    assert beating.version() != version
    assert {each["lastHeartbeatTime"] for each in beating.node()["status"]["conditions"]} == {"2026-01-01T00:05:00Z"}
    assert {each["lastTransitionTime"] for each in beating.node()["status"]["conditions"]} == {"2026-01-01T00:00:00Z"}


async def test_a_node_that_somebody_has_deleted_is_back_with_the_next_heartbeat(beating: Beating) -> None:
    beating.api.delete(NODE, "here")
    beating.api.delete(LEASE, "here", "kube-node-lease")
    await beating.beat()
    assert beating.node()["metadata"]["labels"]["kubernetes.io/hostname"] == "here"
    assert beating.renewed() == "2026-01-01T00:00:10.000000Z"


async def test_what_people_did_to_a_node_stays(beating: Beating) -> None:
    taints = [{"key": "a", "effect": "NoSchedule"}]
    change = {"metadata": {"labels": {"disk": "ssd"}}, "spec": {"unschedulable": True, "taints": taints}}
    beating.api.patch(NODE, "here", None, change)
    await beating.beat(40)
    await beating.registration.register()
    assert beating.node()["metadata"]["labels"]["disk"] == "ssd"
    assert beating.node()["spec"] == {"unschedulable": True, "taints": taints}
