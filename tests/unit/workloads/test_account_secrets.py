"""A Secret of an account gets a token of it, and goes with it."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from keepers import AUTHORITY, access

from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.control.controller import reconcile
from kedge.kube.core import KINDS, SECRET, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.server.api import Api
from kedge.server.lasting import LastingTokens
from kedge.server.quotas import Quotas
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, settle
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads import running
from kedge.workloads.account_secrets import AccountSecrets


def _account(name: str = "robot") -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}}


def _secret(name: str = "robot-token", account: str = "robot", **data: str) -> Obj:
    noted = {"kubernetes.io/service-account.name": account}
    meta = {"name": name, "namespace": "default", "annotations": noted}
    return {"metadata": meta, "type": "kubernetes.io/service-account-token", "data": data}


def _data(api: Api, name: str = "robot-token") -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in (api.get(SECRET, name, "default").get("data") or {}).items()}


@pytest.fixture
def trust() -> LastingTokens:
    return access(FakeClock())


@pytest.fixture
async def api(trust: LastingTokens) -> AsyncIterator[Api]:
    clock = FakeClock()
    api = memory_api(clock=clock)
    task = asyncio.create_task(running.run(LocalClient(api), KINDS, clock, Quotas(api.core.store), trust))
    await settle(60)
    yield api
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_given_what_clients_need(api: Api, trust: LastingTokens) -> None:
    account = api.create(SERVICE_ACCOUNT, _account())
    secret = api.create(SECRET, _secret(mine="aGk="))
    await settle(40)
    found = _data(api)
    assert found == {"mine": "hi", "namespace": "default", "ca.crt": AUTHORITY, "token": found["token"]}
    assert trust.lasting(account, secret, found["token"]) == found["token"]
    noted = api.get(SECRET, "robot-token", "default")["metadata"]["annotations"]
    assert noted["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]


async def test_a_token_that_is_taken_out_or_anothers_is_made_again(api: Api, trust: LastingTokens) -> None:
    account = api.create(SERVICE_ACCOUNT, _account())
    made = [api.create(SECRET, _secret(name)) for name in ("one", "two")]
    await settle(60)
    one, other = (api.get(SECRET, name, "default") for name in ("one", "two"))
    api.update(SECRET, {**one, "data": {**one["data"], "token": other["data"]["token"]}})
    api.update(SECRET, {**other, "data": {}})
    await settle(60)
    for secret in made:
        token = _data(api, secret["metadata"]["name"])["token"]
        assert trust.lasting(account, secret, token) == token


async def test_it_goes_with_its_account(api: Api) -> None:
    api.create(SERVICE_ACCOUNT, _account())
    for obj in (_secret(), {**_secret("plain"), "type": "Opaque"}):
        api.create(SECRET, obj)
    await settle(40)
    api.delete(SERVICE_ACCOUNT, "robot", "default")
    await settle(60)
    assert [each["metadata"]["name"] for each in api.list(SECRET).items] == ["plain"]


async def test_it_is_nobody_elses_than_the_account_that_it_was_made_for(api: Api) -> None:
    api.create(SERVICE_ACCOUNT, _account())
    secret = _secret()
    secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = "of another one"
    api.create(SECRET, secret)
    api.create(SECRET, _secret("stray", account="nobody"))
    await settle(60)
    assert api.list(SECRET).items == []


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
class TestSecretsConverge(ReconcilerConformance):
    @pytest.fixture
    def scenario(self, gone: bool) -> Scenario:  # noqa: FBT001  # a pytest parameter
        async def make() -> World:
            clock = FakeClock()
            api, reconciler = memory_api(clock=clock), AccountSecrets(access(clock))
            if not gone:
                api.create(SERVICE_ACCOUNT, _account())
            api.create(SECRET, _secret())

            async def one_pass(client: Client) -> None:
                await reconcile(reconciler, client, Key("default", "robot-token"), clock.now())

            def is_settled() -> bool:
                return not api.list(SECRET).items if gone else "token" in _data(api)

            return World(api, one_pass, is_settled, _nothing)

        return make


async def _nothing() -> None:
    return
