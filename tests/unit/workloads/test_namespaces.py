"""Each Namespace has its default ServiceAccount; a deleted one is emptied before it goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.clock import timestamp
from kedge.kube.conditions import find
from kedge.kube.core import CONFIG_MAP, EVENT, KINDS, NAMESPACE, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.server.api import Api
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, settle
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads import running
from kedge.workloads.namespaces import Namespaces


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def api(clock: FakeClock) -> AsyncIterator[Api]:
    api = memory_api(clock=clock, namespaces=("default", "team-a"))
    task = asyncio.create_task(running.run(LocalClient(api), KINDS, clock))
    await settle(40)
    yield api
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _exists(api: Api, name: str) -> bool:
    try:
        api.get(NAMESPACE, name)
    except errors.NotFound:
        return False
    return True


def _config(name: str, *finalizers: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "team-a", "finalizers": list(finalizers)}}


async def test_every_namespace_has_its_default_account(api: Api) -> None:
    api.create(NAMESPACE, {"metadata": {"name": "new"}})
    await settle()
    accounts = [obj["metadata"]["namespace"] for obj in api.list(SERVICE_ACCOUNT).items if obj["metadata"]["name"] == "default"]
    assert accounts == ["default", "new", "team-a"]


async def test_an_account_that_is_deleted_comes_back(api: Api) -> None:
    api.delete(SERVICE_ACCOUNT, "default", "team-a")
    await settle()
    assert api.get(SERVICE_ACCOUNT, "default", "team-a")


async def test_a_deleted_namespace_is_emptied_and_goes(api: Api, clock: FakeClock) -> None:
    for number in range(5):
        api.create(CONFIG_MAP, _config(f"c{number}"))
    api.create(EVENT, {"metadata": {"name": "e", "namespace": "team-a"}, "involvedObject": {"namespace": "team-a"}})
    await settle()
    assert _phase(api) == "Active"
    api.delete(NAMESPACE, "team-a")
    assert _phase(api) == "Terminating"
    await settle(60)
    assert not _exists(api, "team-a")
    assert api.list(CONFIG_MAP, "team-a").items == []
    assert api.list(EVENT, "team-a").items == []


def _phase(api: Api) -> str:
    return api.get(NAMESPACE, "team-a")["status"]["phase"]


async def test_a_namespace_waits_for_what_is_held_and_says_so(api: Api) -> None:
    held = api.create(CONFIG_MAP, _config("held", "example.com/hold"))
    api.delete(NAMESPACE, "team-a")
    await settle(60)
    condition = find(api.get(NAMESPACE, "team-a"), "NamespaceContentRemaining")
    assert condition is not None
    assert condition["message"] == "still there: 1 configmaps"
    held = api.get(CONFIG_MAP, "held", "team-a")
    api.update(CONFIG_MAP, {**held, "metadata": {**held["metadata"], "finalizers": []}})
    await settle(60)
    assert not _exists(api, "team-a")


async def test_a_large_namespace_is_emptied(api: Api) -> None:
    for number in range(450):
        api.create(CONFIG_MAP, _config(f"c{number}"))
    await settle()
    api.delete(NAMESPACE, "team-a")
    await settle(600)
    assert not _exists(api, "team-a")


async def test_events_are_forgotten_after_an_hour(api: Api, clock: FakeClock) -> None:
    def make(name: str, age: int) -> None:
        when = timestamp(clock.now() - timedelta(seconds=age))
        api.create(
            EVENT,
            {"metadata": {"name": name, "namespace": "team-a"}, "involvedObject": {"namespace": "team-a"}, "lastTimestamp": when},
        )

    make("old", 3000)
    await clock.advance(1000)
    make("new", 0)
    await clock.advance(2600)
    assert [obj["metadata"]["name"] for obj in api.list(EVENT).items] == ["new"]
    await clock.advance(7200)
    assert api.list(EVENT).items == []


@pytest.mark.parametrize("deleted", [False, True], ids=["living", "deleted"])
class TestNamespacesConverge(ReconcilerConformance):
    @pytest.fixture
    def scenario(self, deleted: bool) -> Scenario:  # noqa: FBT001  # a pytest parameter
        async def make() -> World:
            clock = FakeClock()
            api = memory_api(clock=clock, namespaces=("team-a",))
            for name in ("x", "y"):
                api.create(CONFIG_MAP, _config(name))
            if deleted:
                api.delete(NAMESPACE, "team-a")
            reconciler = Namespaces(KINDS)

            async def one_pass(client: Client) -> None:
                await reconcile(reconciler, client, "team-a", clock.now())

            def is_settled() -> bool:
                if deleted:
                    return not _exists(api, "team-a") and not api.list(CONFIG_MAP).items
                return [obj["metadata"]["name"] for obj in api.list(SERVICE_ACCOUNT).items] == ["default"]

            return World(api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return
