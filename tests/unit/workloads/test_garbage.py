"""Objects go when their owners are gone; nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client, Propagation
from kedge.control.controller import Controller, reconcile
from kedge.kube.core import CONFIG_MAP, KINDS, NAMESPACE, POD, SECRET
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import owner_reference, with_metadata
from kedge.server.api import Api
from kedge.testing.api import StoppingClient, memory_api
from kedge.testing.clock import FakeClock, settle
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.garbage import GarbageCollector, garbage_controller
from kedge.workloads.graph import Graph, Item, item_of


@dataclass
class _Host:
    api: Api
    client: StoppingClient
    graph: Graph
    controller: Controller[Item]

    def make(self, name: str, *owners: Obj, kind: Kind = CONFIG_MAP, namespace: str = "default", **meta: Any) -> Obj:
        references = [owner_reference(CONFIG_MAP, owner, controlling=False) for owner in owners]
        return self.api.create(kind, {"metadata": {"name": name, "namespace": namespace, "ownerReferences": references, **meta}})

    def names(self, kind: Kind = CONFIG_MAP) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.api.list(kind).items]


@pytest.fixture
async def host() -> AsyncIterator[_Host]:
    clock = FakeClock()
    api = memory_api(clock=clock, namespaces=("default", "other"))
    client = StoppingClient(api)
    graph = Graph(client, KINDS, clock)
    controller = garbage_controller(graph, client, clock)
    tasks = [asyncio.create_task(graph.run()), asyncio.create_task(controller.run())]
    await settle()
    yield _Host(api, client, graph, controller)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_dependents_follow_their_owner(host: _Host) -> None:
    """Also those of those, and of other kinds."""
    run = host.make("run")
    child = host.make("child", run)
    host.make("secret", child, kind=SECRET)
    host.make("unrelated")
    await settle()
    host.api.delete(CONFIG_MAP, "run", "default")
    await settle(60)
    assert (host.names(), host.names(SECRET)) == (["unrelated"], [])


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_objects_that_own_each_other_in_a_circle_all_go(host: _Host, propagation: Propagation) -> None:
    first = host.make("first")
    second = host.make("second", first)
    third = host.make("third", second)
    await settle()
    references = [owner_reference(CONFIG_MAP, third, controlling=False)]
    host.api.update(CONFIG_MAP, with_metadata(host.api.get(CONFIG_MAP, "first", "default"), ownerReferences=references))
    await settle()
    host.api.delete(CONFIG_MAP, "first", "default", propagation=propagation)
    await settle(60)
    assert host.names() == []


async def test_an_owner_that_never_was_counts_as_gone(host: _Host) -> None:
    host.make("orphan", {"metadata": {"name": "x", "uid": "nobody"}})
    await settle()
    assert host.names() == []


async def test_an_owner_of_the_same_name_is_not_the_owner(host: _Host) -> None:
    run = host.make("run")
    host.api.delete(CONFIG_MAP, "run", "default")
    host.make("run")
    host.make("child", run)
    await settle()
    assert host.names() == ["run"]


async def test_an_owner_in_another_namespace_is_none(host: _Host) -> None:
    run = host.make("run", namespace="other")
    host.make("child", run)
    await settle()
    assert host.names() == ["run"]


async def test_a_namespace_may_own_what_is_in_it(host: _Host) -> None:
    owner = host.api.get(NAMESPACE, "other")
    host.api.create(
        CONFIG_MAP,
        {"metadata": {"name": "a", "namespace": "other", "ownerReferences": [owner_reference(NAMESPACE, owner)]}},
    )
    await settle()
    assert host.names() == ["a"]


async def test_an_owner_of_a_kind_that_is_not_served_is_left_alone(host: _Host) -> None:
    reference = {"apiVersion": "example.com/v1", "kind": "Robot", "name": "r", "uid": "1"}
    host.api.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default", "ownerReferences": [reference]}})
    await settle()
    assert host.names() == ["a"]


async def test_with_another_owner_left_only_the_reference_goes(host: _Host) -> None:
    one, other = host.make("one"), host.make("other")
    host.make("child", one, other)
    await settle()
    host.api.delete(CONFIG_MAP, "one", "default")
    await settle(60)
    owners = host.api.get(CONFIG_MAP, "child", "default")["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["other"]


async def test_foreground_waits_for_the_dependents(host: _Host) -> None:
    run = host.make("run")
    host.make("child", run, finalizers=["example.com/hold"])
    await settle()
    host.api.delete(CONFIG_MAP, "run", "default", propagation="Foreground")
    await settle(60)
    child = host.api.get(CONFIG_MAP, "child", "default")
    assert child["metadata"]["deletionTimestamp"]
    assert "run" in host.names()
    host.api.update(CONFIG_MAP, {**child, "metadata": {**child["metadata"], "finalizers": []}})
    await settle(60)
    assert host.names() == []


async def test_foreground_of_an_owner_without_dependents(host: _Host) -> None:
    host.make("run")
    await settle()
    host.api.delete(CONFIG_MAP, "run", "default", propagation="Foreground")
    await settle()
    assert host.names() == []


async def test_orphans_stay_without_their_owner(host: _Host) -> None:
    run = host.make("run")
    host.make("child", run)
    await settle()
    host.api.delete(CONFIG_MAP, "run", "default", propagation="Orphan")
    await settle(60)
    assert host.names() == ["child"]
    assert "ownerReferences" not in host.api.get(CONFIG_MAP, "child", "default")["metadata"]


async def test_an_owner_that_is_deleted_while_a_child_is_made(host: _Host) -> None:
    """The owner goes before anybody saw the child."""
    run = host.make("run")
    await settle()
    host.api.delete(CONFIG_MAP, "run", "default")
    host.make("child", run)
    await settle(60)
    assert host.names() == []


async def test_changes_of_status_cost_nothing(host: _Host) -> None:
    """A thousand Pods of one run: no look at any of them until the run goes."""
    run = host.make("run")
    await settle()
    looks = list[Item]()
    add = host.controller.queue.add
    host.controller.queue.add = lambda key: (looks.append(key), add(key))[1]  # type: ignore[method-assign]
    for number in range(50):
        meta = {"name": f"p{number}", "namespace": "default", "ownerReferences": [owner_reference(CONFIG_MAP, run)]}
        host.api.create(POD, {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}})
        host.api.patch(POD, f"p{number}", "default", {"status": {"phase": "Running"}}, subresource="status")
    await settle()
    assert looks == []
    host.api.delete(CONFIG_MAP, "run", "default")
    await settle(200)
    assert (len(looks), host.names(POD)) == (50, [])


async def _follow(api: Api, clock: FakeClock) -> tuple[Graph, Callable[[], Awaitable[None]]]:
    graph = Graph(LocalClient(api), KINDS, clock)
    task = asyncio.create_task(graph.run())
    await settle()

    async def close() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return graph, close


def _family(api: Api, propagation: Any) -> None:
    """A run with children, one of which has a second owner, deleted before the collector looks."""
    run = api.create(CONFIG_MAP, {"metadata": {"name": "run", "namespace": "default"}})
    other = api.create(CONFIG_MAP, {"metadata": {"name": "other", "namespace": "default"}})
    references = [owner_reference(CONFIG_MAP, run, controlling=False)]
    for name in ("a", "b"):
        api.create(SECRET, {"metadata": {"name": name, "namespace": "default", "ownerReferences": references}})
    both = [*references, owner_reference(CONFIG_MAP, other, controlling=False)]
    api.create(SECRET, {"metadata": {"name": "shared", "namespace": "default", "ownerReferences": both}})
    api.delete(CONFIG_MAP, "run", "default", propagation=propagation)


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
class TestGarbageConverges(ReconcilerConformance):
    @pytest.fixture
    def scenario(self, propagation: str) -> Scenario:
        async def make() -> World:
            clock = FakeClock()
            api = memory_api(clock=clock)
            _family(api, propagation)
            graph, close = await _follow(api, clock)
            collector = GarbageCollector(graph)

            async def one_pass(client: Client) -> None:
                items = [item_of(informer.kind, obj) for informer in graph.informers for obj in informer.items()]
                for item in items:
                    await settle(3)
                    try:
                        await reconcile(collector, client, item, clock.now())
                    except errors.Conflict:
                        continue
                await settle(3)

            def is_settled() -> bool:
                left = {
                    obj["metadata"]["name"]: len(obj["metadata"].get("ownerReferences", ())) for obj in api.list(SECRET).items
                }
                gone = "run" not in [obj["metadata"]["name"] for obj in api.list(CONFIG_MAP).items]
                return gone and left == ({"a": 0, "b": 0, "shared": 1} if propagation == "Orphan" else {"shared": 1})

            return World(api, one_pass, is_settled, close)

        return make
