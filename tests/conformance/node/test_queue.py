"""Pods that wait for their turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.node.conftest import Node, eventually

from kedge.client.local import LocalClient
from kedge.errors import Unavailable
from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj


class Flaky(LocalClient):
    """A client whose API cannot be reached the first times that a Pod is read, as over a bad network."""

    failures = 0

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object, perhaps."""
        if kind.resource == POD.resource and self.failures:
            self.failures -= 1
            raise Unavailable("connection refused")
        return await super().get(kind, name, namespace)


@pytest.fixture
async def node(tmp_path: Path, cache: Path) -> AsyncIterator[Node]:
    """A node that runs one Pod at a time."""
    made = Node(tmp_path / "home", cache, max_pods=1, client=Flaky)
    await made.agent.start()
    try:
        yield made
    finally:
        await made.agent.stop_all(grace=0)


async def test_a_pod_whose_turn_comes_while_the_api_is_away_runs_when_it_is_back(node: Node) -> None:
    client = node.client
    assert isinstance(client, Flaky)
    node.pod("first", "while [ ! -e /tmp/go ]; do sleep 0.01; done")
    for name in ("second", "third"):
        node.pod(name, "true")
    await node.running("first")
    client.failures = 2
    node.go("first")
    for name in ("first", "second", "third"):
        assert (await node.ended(name))["status"]["phase"] == "Succeeded"
    assert not client.failures


async def test_a_pod_that_is_deleted_while_the_api_is_away_gives_its_place_to_the_next(node: Node) -> None:
    client = node.client
    assert isinstance(client, Flaky)
    node.pod("first", "while [ ! -e /tmp/go ]; do sleep 0.01; done")
    for name in ("second", "third"):
        node.pod(name, "true")
    await node.running("first")
    client.failures = 1
    node.go("first")
    await eventually(lambda: not client.failures)
    node.api.delete(POD, "second", "default", grace_period=0)
    assert (await node.ended("third"))["status"]["phase"] == "Succeeded"
