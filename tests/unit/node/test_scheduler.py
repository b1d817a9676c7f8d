"""Which of several nodes a Pod gets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube import conditions
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Obj
from kedge.node.scheduler import Scheduler
from kedge.node.scheduling import REQUIRED
from kedge.node.staying import stays
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, FakeIds, settle

ZONE = "topology.kubernetes.io/zone"


class World:
    """A host whose scheduler runs: its own node with 2 processors, and two that have joined, with 4 each."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = memory_api(clock=self.clock, ids=FakeIds(), namespaces=("default",))
        self.scheduler = Scheduler(LocalClient(self.api), self.clock, FakeIds(), "own", stays=stays)
        self.api.core.admission = (self.scheduler.admit,)
        self.node("own", "2", {ZONE: "a"})
        self.task = asyncio.create_task(self.scheduler.run())

    def node(self, name: str, cpu: str, labels: dict[str, str], **spec: Any) -> None:
        made = {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}, "spec": spec}
        self.api.create(NODE, made)
        self.api.patch(NODE, name, None, {"status": {"allocatable": {"cpu": cpu, "pods": "3"}}}, subresource="status")

    async def pod(self, name: str, cpu: str = "0", labels: dict[str, str] | None = None, **spec: Any) -> str:
        """Make a Pod; returns the node that it gets, or why it gets none."""
        container = {"name": "main", "image": "debian:12", "resources": {"requests": {"cpu": cpu}}}
        body = {
            "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
            "spec": {"containers": [container], **spec},
        }
        self.api.create(POD, body)
        await settle(60)
        return self.place(name)

    def place(self, name: str) -> str:
        pod = self.api.get(POD, name, "default")
        return pod["spec"].get("nodeName") or (conditions.find(pod, "PodScheduled") or {}).get("message", "")

    def end(self, name: str) -> None:
        self.api.patch(POD, name, "default", {"status": {"phase": "Succeeded"}}, subresource="status")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """See `World`."""
    made = World()
    await settle()
    await made.clock.advance(1)
    made.node("box", "4", {ZONE: "b"})
    await made.clock.advance(1)
    made.node("edge", "4", {ZONE: "b", "gpu": "yes"})
    await settle()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


async def test_a_pod_gets_the_first_node_that_has_free_what_it_requests_the_host_s_own_before_the_others(world: World) -> None:
    assert [await world.pod(f"p{number}", "1500m") for number in range(5)] == ["own", "box", "box", "edge", "edge"]


async def test_a_pod_that_fits_none_waits_and_runs_when_another_has_ended(world: World) -> None:
    for number in range(3):
        await world.pod(f"p{number}", ("2", "4", "4")[number])
    told = await world.pod("late", "2")
    assert told.startswith("0/3 nodes are available: 3 Insufficient cpu. The Pod requests 2 and own has 0 of cpu free")
    world.end("p1")
    await settle(60)
    assert world.place("late") == "box"


async def test_a_selector_and_a_taint_decide_before_room_does(world: World) -> None:
    assert await world.pod("chosen", nodeSelector={"gpu": "yes"}) == "edge"
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    world.api.patch(NODE, "edge", None, {"spec": {"taints": [taint]}})
    await settle()
    told = await world.pod("kept", nodeSelector={"gpu": "yes"})
    assert told.startswith(
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 2 node(s) didn't match Pod's node "
    )
    assert await world.pod("let", nodeSelector={"gpu": "yes"}, tolerations=[{"key": "gpu", "operator": "Exists"}]) == "edge"


async def test_a_node_runs_no_more_pods_than_it_says(world: World) -> None:
    assert [await world.pod(f"p{number}") for number in range(4)] == ["own", "own", "own", "box"]


async def test_pods_that_keep_away_from_each_other_do_by_the_topology_that_they_name(world: World) -> None:
    def apart(key: str) -> dict[str, Any]:
        term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}}
        return {"podAntiAffinity": {REQUIRED: [term]}}

    labels = {"app": "web"}
    assert await world.pod("first", "0", labels, affinity=apart(ZONE)) == "own"
    assert await world.pod("second", "0", labels, affinity=apart(ZONE)) == "box"
    told = await world.pod("third", "0", labels, affinity=apart(ZONE))  # `edge` is in the zone of `box`
    assert told.startswith("0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.")


async def test_steps_of_runs_and_pods_with_claims_stay_with_their_folders(world: World) -> None:
    told = await world.pod("step", "0", {"kedge.dev/run": "a"}, nodeSelector={"gpu": "yes"})
    assert "2 node(s) didn't share what the Pod uses" in told
    assert "edge is another machine: a step of a run shares the folder of artifacts with this host." in told
    assert [await world.pod(f"s{number}", "2", {"kedge.dev/run": "a"}) for number in range(2)] == ["own", "own"]
    volumes: list[Obj] = [{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}]
    assert "the claim mine is a folder of this host" in await world.pod("claims", nodeSelector={"gpu": "yes"}, volumes=volumes)
