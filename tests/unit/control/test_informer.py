"""Informers hold what is there and miss nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from kedge import errors
from kedge.client.local import BACKLOG, LocalClient
from kedge.client.types import Page, WatchEvent
from kedge.control.informer import Informer
from kedge.kube.core import CONFIG_MAP, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key
from kedge.server.api import Api
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, settle

Change = tuple[str | None, str | None]


def _config(name: str, value: str = "", **labels: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"v": value}}


def _value(obj: Obj | None) -> str | None:
    return None if obj is None else obj["data"]["v"]


class _Follower:
    """An informer that runs, and what its handlers heard."""

    def __init__(self, client: Any, clock: FakeClock, keep: Callable[[Obj], Obj] | None = None, **selectors: Any) -> None:
        self.informer = Informer(client, CONFIG_MAP, clock, **selectors)
        if keep is not None:
            self.informer.keeping(keep)
        self.heard: list[Change] = []
        self.informer.on_change(lambda old, new: self.heard.append((_value(old), _value(new))))
        self.task = asyncio.create_task(self.informer.run())

    def names(self) -> list[str]:
        return sorted(obj["metadata"]["name"] for obj in self.informer.items())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> Api:
    return memory_api(clock=clock, namespaces=("default", "other"))


@pytest.fixture
async def follow(api: Api, clock: FakeClock) -> AsyncIterator[Callable[..., _Follower]]:
    started = list[_Follower]()

    def follow(client: Any = None, **selectors: Any) -> _Follower:
        started.append(_Follower(client or LocalClient(api), clock, **selectors))
        return started[-1]

    yield follow
    for follower in started:
        follower.task.cancel()
    await asyncio.gather(*(follower.task for follower in started), return_exceptions=True)


async def test_it_holds_what_was_there_and_hears_what_comes(api: Api, follow: Callable[..., _Follower]) -> None:
    first = api.create(CONFIG_MAP, _config("a", "1"))
    follower = follow()
    await asyncio.wait_for(follower.informer.synced(), 60)
    api.update(CONFIG_MAP, {**first, "data": {"v": "2"}})
    api.create(CONFIG_MAP, _config("b", "3"))
    api.delete(CONFIG_MAP, "a", "default")
    await settle()
    assert follower.heard == [(None, "1"), ("1", "2"), (None, "3"), ("2", None)]
    assert follower.names() == ["b"]
    assert follower.informer.get(Key("default", "b")) is not None
    assert len(follower.informer) == 1


async def test_a_change_is_heard_one_turn_after_the_write(api: Api, follow: Callable[..., _Follower]) -> None:
    follower = follow()
    await settle()
    api.create(CONFIG_MAP, _config("a", "1"))
    await settle(2)
    assert follower.heard == [(None, "1")]


async def test_it_holds_what_matches(api: Api, follow: Callable[..., _Follower]) -> None:
    """An object that ceases to match is gone; one that begins to is new."""
    obj = api.create(CONFIG_MAP, _config("a", "1", app="x"))
    api.create(CONFIG_MAP, _config("b", "1"))
    follower = follow(labels="app=x", namespace="default")
    await settle()
    assert follower.names() == ["a"]
    obj = api.update(CONFIG_MAP, {**obj, "metadata": {**obj["metadata"], "labels": {}}})
    await settle()
    assert follower.names() == []
    api.update(CONFIG_MAP, {**obj, "metadata": {**obj["metadata"], "labels": {"app": "x"}}})
    await settle()
    assert follower.names() == ["a"]


async def test_objects_are_found_by_an_index(api: Api, follow: Callable[..., _Follower]) -> None:
    follower = follow()
    follower.informer.index("value", lambda obj: [obj["data"]["v"]])
    obj = api.create(CONFIG_MAP, _config("a", "1"))
    api.create(CONFIG_MAP, _config("b", "1"))
    await settle()
    assert len(follower.informer.find("value", "1")) == 2
    api.update(CONFIG_MAP, {**obj, "data": {"v": "2"}})
    api.delete(CONFIG_MAP, "b", "default")
    await settle()
    assert follower.informer.find("value", "1") == []
    follower.informer.index("later", lambda obj: [obj["data"]["v"]])
    assert len(follower.informer.find("later", "2")) == 1


async def test_a_late_handler_hears_of_everything(api: Api, follow: Callable[..., _Follower]) -> None:
    api.create(CONFIG_MAP, _config("a", "1"))
    follower = follow()
    await settle()
    heard = list[Change]()
    follower.informer.on_change(lambda old, new: heard.append((_value(old), _value(new))))
    assert heard == [(None, "1")]


async def test_it_keeps_what_it_is_told_to(api: Api, follow: Callable[..., _Follower]) -> None:
    api.create(CONFIG_MAP, _config("a", "1"))
    follower = follow(keep=lambda obj: {"metadata": obj["metadata"], "data": {"v": "kept"}})
    await settle()
    assert follower.heard == [(None, "kept")]


async def test_a_watcher_that_falls_behind_lists_again(api: Api, follow: Callable[..., _Follower]) -> None:
    """More changes than a watch holds: nothing is lost, and memory stays bounded."""
    follower = follow()
    await settle()
    gone = api.create(CONFIG_MAP, _config("gone", "0"))
    await settle()
    api.delete(CONFIG_MAP, "gone", "default", uid=gone["metadata"]["uid"])
    obj = api.create(CONFIG_MAP, _config("a", "1"))
    for number in range(BACKLOG + 1):
        obj = api.update(CONFIG_MAP, {**obj, "data": {"v": f"n{number}"}})
    await settle()
    assert follower.names() == ["a"]
    assert follower.heard == [(None, "0"), ("0", None), (None, f"n{BACKLOG}")]


async def test_an_object_made_anew_is_another_one(api: Api, follow: Callable[..., _Follower]) -> None:
    """Handlers never take two objects of one name for one object."""
    api.create(CONFIG_MAP, _config("a", "1"))
    follower = follow()
    await settle()
    client = LocalClient(api)
    follower.informer._version = ""
    api.delete(CONFIG_MAP, "a", "default")
    api.create(CONFIG_MAP, _config("a", "2"))
    page = await client.list(CONFIG_MAP, "default")
    follower.informer._put(Key("default", "a"), page.items[0])
    assert follower.heard == [(None, "1"), ("1", None), (None, "2")]


class _Flaky(LocalClient):
    """A client whose first calls fail, as a server that is starting."""

    def __init__(self, api: Api, failures: int) -> None:
        super().__init__(api)
        self.failures = failures

    def _maybe_fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise errors.Unavailable("not now")

    async def list(self, kind: Kind, namespace: str | None = None, **options: Any) -> Page:
        self._maybe_fail()
        return await super().list(kind, namespace, **options)

    async def watch(self, kind: Kind, namespace: str | None = None, **options: Any) -> AsyncIterator[WatchEvent]:
        self._maybe_fail()
        async for event in super().watch(kind, namespace, **options):
            yield event


async def test_it_waits_for_a_server_that_is_not_there(
    api: Api, clock: FakeClock, follow: Callable[..., _Follower], caplog: pytest.LogCaptureFixture
) -> None:
    """Longer each time, saying so once."""
    api.create(CONFIG_MAP, _config("a", "1"))
    follower = follow(_Flaky(api, 3))
    await settle()
    assert clock.sleeping() == 1
    await clock.advance(0.1 + 0.2 + 0.4)
    assert follower.names() == ["a"]
    (warning,) = [vars(record) for record in caplog.records if record.levelname == "WARNING"]
    assert (warning["message"], warning["resource"]) == ("objects cannot be followed; trying again", "configmaps")
    assert (warning["error"], warning["seconds"]) == ("not now", 0.1)


class _Forgetful(LocalClient):
    """A client of a server that forgets a list before its second page is read, and every watch for as long as it is told to."""

    expired = 0

    async def list(self, kind: Kind, namespace: str | None = None, **options: Any) -> Page:
        if options.get("continue_"):
            raise errors.Gone("the continue parameter is too old")
        return await super().list(kind, namespace, **options)

    async def watch(self, kind: Kind, namespace: str | None = None, **options: Any) -> AsyncIterator[WatchEvent]:
        if self.expired:
            self.expired -= 1
            raise errors.Gone("too old resource version")
        async for event in super().watch(kind, namespace, **options):
            yield event


async def test_a_list_that_expires_between_its_pages_is_read_whole(api: Api, follow: Callable[..., _Follower]) -> None:
    for number in range(201):
        api.create(CONFIG_MAP, _config(f"n{number}"))
    follower = follow(_Forgetful(api))
    await settle()
    assert len(follower.names()) == 201
    assert len(follower.heard) == 201


async def test_a_server_that_forgets_at_once_is_not_asked_without_pause(
    api: Api, clock: FakeClock, follow: Callable[..., _Follower]
) -> None:
    client = _Forgetful(api)
    client.expired = 3
    follower = follow(client)
    await settle()
    assert (client.expired, clock.sleeping()) == (1, 1)
    await clock.advance(0.2 + 0.4)
    assert client.expired == 0
    api.create(CONFIG_MAP, _config("a", "1"))
    await settle()
    assert follower.heard == [(None, "1")]


async def test_fields_select(api: Api, clock: FakeClock) -> None:
    api.create(POD, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    informer = Informer(LocalClient(api), POD, clock, fields="status.phase=Running")
    task = asyncio.create_task(informer.run())
    await settle()
    assert len(informer) == 0
    api.patch(POD, "p", "default", {"status": {"phase": "Running"}}, subresource="status")
    await settle()
    assert len(informer) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
