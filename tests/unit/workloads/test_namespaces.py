"""Each Namespace has its default ServiceAccount and the API's authority; a deleted one is emptied before it goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from keepers import AUTHORITY, access

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.clock import timestamp
from kedge.kube.conditions import find
from kedge.kube.core import CONFIG_MAP, EVENT, KINDS, NAMESPACE, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.kube.service_accounts import ROOT_CA
from kedge.server.api import Api
from kedge.server.quotas import Quotas
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
    task = asyncio.create_task(running.run(LocalClient(api), KINDS, clock, Quotas(api.core.store), access(clock)))
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


async def test_every_namespace_has_the_authority_of_the_api(api: Api) -> None:
    api.create(NAMESPACE, {"metadata": {"name": "new"}})
    await settle()
    for name in ("default", "new", "team-a"):
        assert api.get(CONFIG_MAP, ROOT_CA, name)["data"] == {"ca.crt": AUTHORITY}


@pytest.mark.parametrize(
    "spoiled", [{"ca.crt": "another"}, {"ca.crt": AUTHORITY, "more": "of it"}, None], ids=["other", "more", "none"]
)
async def test_an_authority_that_is_changed_or_deleted_is_made_again(api: Api, spoiled: Obj | None) -> None:
    await settle()
    found = api.get(CONFIG_MAP, ROOT_CA, "team-a")
    if spoiled is None:
        api.delete(CONFIG_MAP, ROOT_CA, "team-a")
    else:
        api.update(CONFIG_MAP, {**found, "data": spoiled})
    await settle()
    kept = api.get(CONFIG_MAP, ROOT_CA, "team-a")
    assert (kept["data"], kept["metadata"]["annotations"]) == ({"ca.crt": AUTHORITY}, found["metadata"]["annotations"])


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
    namespace = api.get(NAMESPACE, "team-a")
    told = {
        name: (find(namespace, name) or {}).get("message")
        for name in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
    }
    assert told == {
        "NamespaceContentRemaining": "Some resources are remaining: configmaps. has 1 resource instances",
        "NamespaceFinalizersRemaining": (
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        ),
    }
    assert (find(namespace, "NamespaceDeletionContentFailure") or {}).get("status") == "False"
    held = api.get(CONFIG_MAP, "held", "team-a")
    api.update(CONFIG_MAP, {**held, "metadata": {**held["metadata"], "finalizers": []}})
    await settle(60)
    assert not _exists(api, "team-a")


async def test_pods_go_before_what_they_use(api: Api) -> None:
    api.create(CONFIG_MAP, _config("used"))
    spec = {"containers": [{"name": "c", "image": "c"}], "schedulerName": "nobody"}
    for name, held in (("held", ["example.com/hold"]), ("free", [])):
        api.create(POD, {"metadata": {"name": name, "namespace": "team-a", "finalizers": held}, "spec": spec})
    await settle()
    api.delete(NAMESPACE, "team-a")
    await settle(60)
    pod = api.get(POD, "held", "team-a")
    assert pod["metadata"]["deletionTimestamp"]
    assert "deletionTimestamp" not in api.get(CONFIG_MAP, "used", "team-a")["metadata"]
    api.update(POD, {**pod, "metadata": {**pod["metadata"], "finalizers": []}})
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
            reconciler = Namespaces(lambda: KINDS, AUTHORITY)

            async def one_pass(client: Client) -> None:
                await reconcile(reconciler, client, "team-a", clock.now())

            def is_settled() -> bool:
                if deleted:
                    return not _exists(api, "team-a") and not api.list(CONFIG_MAP).items
                kept = [*api.list(SERVICE_ACCOUNT).items, *api.list(CONFIG_MAP).items]
                return [obj["metadata"]["name"] for obj in kept] == ["default", ROOT_CA, "x", "y"]

            return World(api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return
