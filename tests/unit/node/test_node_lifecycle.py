"""Nodes that go silent, come back, or are gone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube import conditions
from kedge.kube.clock import micro_timestamp
from kedge.kube.core import EVENT, LEASE, NODE, POD
from kedge.kube.kinds import Obj
from kedge.node.node_lifecycle import GRACE, NOT_READY, UNREACHABLE, NodeLifecycle
from kedge.node.taints import Taints
from kedge.server import tolerations
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, FakeIds


class World:
    """A host's API with the two controllers that look after nodes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = memory_api(clock=self.clock, ids=FakeIds(), namespaces=("default", "kube-node-lease"))
        self.api.core.admission = (tolerations.admit,)
        client = LocalClient(self.api)
        for name in ("here", "edge"):
            self.join(name)
        self.tasks = [
            asyncio.create_task(NodeLifecycle(client, self.clock, FakeIds(), "here").run()),
            asyncio.create_task(Taints(client, self.clock, FakeIds()).run()),
        ]

    def join(self, name: str) -> None:
        self.api.create(NODE, {"metadata": {"name": name}, "spec": {}})
        spec = {"holderIdentity": name, "renewTime": micro_timestamp(self.clock.now())}
        self.api.create(LEASE, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec})
        self.ready(name)

    def ready(self, name: str) -> None:
        """What an agent says of its node."""
        made = conditions.condition("Ready", True, "KubeletReady", "the node takes Pods", now=self.clock.now())
        self.api.patch(NODE, name, None, {"status": {"conditions": [made]}}, subresource="status")

    def renew(self, name: str) -> None:
        self.api.patch(LEASE, name, "kube-node-lease", {"spec": {"renewTime": micro_timestamp(self.clock.now())}})

    async def pass_by(self, seconds: float, *alive: str) -> None:
        """Let time pass in which some nodes renew their Leases."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            for name in alive:
                self.renew(name)
            await self.clock.advance(min(10.0, (end - self.clock.now()).total_seconds()))

    def pod(self, name: str, node: str, **spec: Any) -> Obj:
        body = {"nodeName": node, "containers": [{"name": "main", "image": "debian:12"}], **spec}
        made = self.api.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": body})
        ready = conditions.condition("Ready", True, "", now=self.clock.now())
        status = {"phase": "Running", "conditions": [ready]}
        return self.api.patch(
            POD, name, "default", {"metadata": {"uid": made["metadata"]["uid"]}, "status": status}, subresource="status"
        )

    def taints(self, name: str) -> set[tuple[str, str]]:
        return {(taint["key"], taint["effect"]) for taint in self.api.get(NODE, name)["spec"].get("taints") or ()}

    def condition(self, name: str) -> tuple[str, str, str]:
        found = conditions.find(self.api.get(NODE, name), "Ready") or {}
        return found["status"], found["reason"], found["message"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Two nodes: the host's own, ``here``, and one that has joined, ``edge``."""
    made = World()
    await made.clock.advance(1)
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_a_node_that_renews_its_lease_is_left_alone_and_so_is_the_host_s_own_silent_or_not(world: World) -> None:
    await world.pass_by(3 * GRACE, "edge")
    assert [world.condition(name)[0] for name in ("here", "edge")] == ["True", "True"]
    assert [world.taints(name) for name in ("here", "edge")] == [set(), set()]


async def test_a_silent_node_is_unknown_and_tainted_and_its_pods_are_not_ready(world: World) -> None:
    world.pod("web", "edge")
    await world.pass_by(GRACE + 10)
    assert world.condition("edge") == ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
    assert world.taints("edge") == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
    assert not conditions.is_true(world.api.get(POD, "web", "default"), "Ready")
    events = {(event["reason"], event["message"]) for event in world.api.list(EVENT, "default").items}
    assert {("NodeNotReady", "Node edge status is now: NodeNotReady"), ("NodeNotReady", "Node is not ready")} <= events


async def test_pods_of_a_silent_node_are_deleted_when_their_tolerations_end(world: World) -> None:
    world.pod("plain", "edge")
    world.pod(
        "hasty", "edge", tolerations=[{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]
    )
    world.pod("patient", "edge", tolerations=[{"operator": "Exists"}])
    world.pod("elsewhere", "here")

    def deleted() -> set[str]:
        return {
            pod["metadata"]["name"] for pod in world.api.list(POD, "default").items if pod["metadata"].get("deletionTimestamp")
        }

    await world.pass_by(GRACE + 20)
    assert deleted() == {"hasty"}
    await world.pass_by(300)
    assert deleted() == {"hasty", "plain"}


async def test_a_node_that_returns_loses_its_taints_and_keeps_its_pods(world: World) -> None:
    world.pod("web", "edge")
    await world.pass_by(GRACE + 60)
    world.ready("edge")
    await world.pass_by(400, "edge")
    assert world.taints("edge") == set()
    assert not world.api.get(POD, "web", "default")["metadata"].get("deletionTimestamp")


async def test_a_node_that_says_that_it_is_not_ready_has_the_other_taint(world: World) -> None:
    made = conditions.condition("Ready", False, "KubeletNotReady", "the disk is full", now=world.clock.now())
    world.api.patch(NODE, "edge", None, {"status": {"conditions": [made]}}, subresource="status")
    await world.pass_by(20, "edge")
    assert world.taints("edge") == {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}


async def test_pods_of_a_node_that_was_deleted_are_gone_a_while_later(world: World) -> None:
    world.pod("web", "edge")
    world.api.delete(NODE, "edge")
    await world.pass_by(30)
    assert world.api.get(POD, "web", "default")
    await world.pass_by(30)
    assert [pod["metadata"]["name"] for pod in world.api.list(POD, "default").items] == []


def test_pods_tolerate_a_silent_node_for_five_minutes_unless_they_say_otherwise() -> None:
    pod: Obj = {
        "spec": {"tolerations": [{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]}
    }
    tolerations.admit("create", POD, pod, None)
    made = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    assert pod["spec"]["tolerations"][1:] == [made]
    everything: Obj = {"spec": {"tolerations": [{"operator": "Exists"}]}}
    tolerations.admit("create", POD, everything, None)
    assert everything["spec"]["tolerations"] == [{"operator": "Exists"}]
