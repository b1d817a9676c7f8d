"""A client that sees some namespaces keeps the client's promises, and sees no others."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.scoped import ScopedClient
from kedge.client.types import WatchEvent, pages
from kedge.kube.core import CONFIG_MAP, NAMESPACE
from kedge.kube.kinds import Kind
from kedge.testing.api import memory_api
from kedge.testing.clients import ClientConformance, next_of


class TestOneNamespace(ClientConformance):
    @pytest.fixture
    def client(self) -> ScopedClient:
        return ScopedClient(LocalClient(memory_api()), ["default"])


@pytest.fixture
async def whole() -> LocalClient:
    client = LocalClient(memory_api())
    for name in ("a", "b", "c"):
        await client.create(NAMESPACE, {"metadata": {"name": name}})
        for number in range(3):
            await client.create(CONFIG_MAP, {"metadata": {"name": f"{name}{number}", "namespace": name}})
    return client


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 100])
async def test_all_namespaces_are_those_of_its_own(whole: LocalClient, limit: int) -> None:
    scoped, found, token = ScopedClient(whole, ["a", "c"]), [], None
    while True:
        page = await scoped.list(CONFIG_MAP, limit=limit, continue_=token)
        found += [obj["metadata"]["name"] for obj in page.items]
        token = page.continue_
        if token is None:
            break
    assert found == ["a0", "a1", "a2", "c0", "c1", "c2"]


async def test_a_watch_tells_what_happens_in_each_of_them(whole: LocalClient) -> None:
    scoped = ScopedClient(whole, ["a", "c"])
    version = ""
    async for page in pages(scoped, CONFIG_MAP):
        version = page.resource_version
    for name in ("a", "b", "c"):
        await whole.create(CONFIG_MAP, {"metadata": {"name": f"{name}-new", "namespace": name}})
    async with aclosing(scoped.watch(CONFIG_MAP, resource_version=version)) as events:  # pyright: ignore[reportArgumentType]  # it is a generator
        assert {await next_of(events), await next_of(events)} == {("ADDED", "a-new"), ("ADDED", "c-new")}
        await whole.delete(CONFIG_MAP, "b0", "b")
        await whole.delete(CONFIG_MAP, "c0", "c")
        assert await next_of(events) == ("DELETED", "c0")


async def test_one_that_cannot_be_followed_has_all_of_them_listed_again() -> None:
    """The changes of the others say how far they have come, and nothing about that one."""

    class Away(LocalClient):
        async def watch(
            self, kind: Kind, namespace: str | None = None, *, resource_version: str, labels: str = "", fields: str = ""
        ) -> AsyncIterator[WatchEvent]:
            if namespace == "c":
                raise errors.Unavailable("the server went away")
            async for event in super().watch(kind, namespace, resource_version=resource_version, labels=labels, fields=fields):
                yield event

    away = Away(memory_api())
    version = (await away.list(CONFIG_MAP)).resource_version
    scoped = ScopedClient(away, ["a", "c"])
    with pytest.raises(errors.Gone, match="could not be followed: the server went away"):
        async for _ in scoped.watch(CONFIG_MAP, resource_version=f"{version},{version}"):
            pass
