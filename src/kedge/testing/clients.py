# ruff: noqa: S101  # a test kit asserts
"""What every client promises, as tests.

A client's own test module inherits `ClientConformance` and gives the fixture ``client``: one of a server with the Namespace
``default`` and nothing else of consequence.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from kedge import errors
from kedge.client.types import Client, WatchEvent
from kedge.kube.core import CONFIG_MAP, NAMESPACE, POD
from kedge.kube.kinds import Obj

_PATIENCE = 60.0  # seconds until a change that does not come counts as lost


def config(name: str, value: str = "", **labels: str) -> Obj:
    """A ConfigMap."""
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"v": value}}


def pod(name: str) -> Obj:
    """A Pod that nobody runs."""
    spec = {"containers": [{"name": "main", "image": "python:3.11"}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def next_of(events: AsyncIterator[WatchEvent]) -> tuple[str, Any]:
    """The next change that is no bookmark, as its type and the name of its object."""
    while True:
        event = await asyncio.wait_for(anext(events), _PATIENCE)
        if event.type != "BOOKMARK":
            return event.type, event.object["metadata"]["name"]


class ClientConformance:
    """The rules of `kedge.client.types`, one test each."""

    async def test_what_is_created_can_be_read(self, client: Client) -> None:
        """With what the server adds."""
        made = await client.create(CONFIG_MAP, config("a", "1"))
        assert made["metadata"]["uid"]
        assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
        assert await client.get(CONFIG_MAP, "a", "default") == made

    async def test_objects_without_a_namespace(self, client: Client) -> None:
        """Are addressed by name alone."""
        await client.create(NAMESPACE, {"metadata": {"name": "team-a"}})
        assert (await client.get(NAMESPACE, "team-a"))["status"]["phase"] == "Active"

    async def test_creating_twice_is_refused(self, client: Client) -> None:
        """By the class of that meaning."""
        await client.create(CONFIG_MAP, config("a"))
        with pytest.raises(errors.AlreadyExists, match='configmaps "a" already exists'):
            await client.create(CONFIG_MAP, config("a"))

    async def test_what_is_not_there(self, client: Client) -> None:
        """Every verb says so."""
        with pytest.raises(errors.NotFound):
            await client.get(CONFIG_MAP, "a", "default")
        with pytest.raises(errors.NotFound):
            await client.delete(CONFIG_MAP, "a", "default")
        with pytest.raises(errors.NotFound):
            await client.patch(CONFIG_MAP, "a", "default", {"data": {}})

    async def test_an_invalid_object_names_the_field(self, client: Client) -> None:
        """As `errors.Cause`."""
        with pytest.raises(errors.Invalid) as raised:
            await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}, "data": {"a b": "c"}})
        assert [cause.field for cause in raised.value.causes] == ["data[a b]"]

    async def test_an_update_of_an_old_version_is_refused(self, client: Client) -> None:
        """The first writer wins."""
        made = await client.create(CONFIG_MAP, config("a", "1"))
        newer = await client.update(CONFIG_MAP, {**made, "data": {"v": "2"}})
        with pytest.raises(errors.Conflict):
            await client.update(CONFIG_MAP, {**made, "data": {"v": "3"}})
        assert (await client.get(CONFIG_MAP, "a", "default")) == newer

    async def test_the_three_patches(self, client: Client) -> None:
        """Each in its own language."""
        await client.create(CONFIG_MAP, config("a", "1"))
        merged = await client.patch(CONFIG_MAP, "a", "default", {"data": {"w": "2"}})
        assert merged["data"] == {"v": "1", "w": "2"}
        edited = await client.patch(CONFIG_MAP, "a", "default", [{"op": "remove", "path": "/data/v"}], type="json")
        assert edited["data"] == {"w": "2"}
        finalizers = {"metadata": {"finalizers": ["example.com/b"]}}
        await client.patch(CONFIG_MAP, "a", "default", {"metadata": {"finalizers": ["example.com/a"]}}, type="strategic")
        held = await client.patch(CONFIG_MAP, "a", "default", finalizers, type="strategic")
        assert held["metadata"]["finalizers"] == ["example.com/a", "example.com/b"]

    async def test_a_uid_in_a_patch_is_a_precondition(self, client: Client) -> None:
        """What was deleted and created anew is left alone."""
        made = await client.create(CONFIG_MAP, config("a"))
        await client.delete(CONFIG_MAP, "a", "default")
        await client.create(CONFIG_MAP, config("a"))
        with pytest.raises(errors.Conflict):
            await client.patch(CONFIG_MAP, "a", "default", {"metadata": {"uid": made["metadata"]["uid"]}, "data": {"x": "y"}})
        assert "x" not in (await client.get(CONFIG_MAP, "a", "default")).get("data", {})

    async def test_a_status_is_written_apart(self, client: Client) -> None:
        """The main path leaves it alone, and the other way round."""
        made = await client.create(POD, pod("p"))
        running = await client.update(POD, {**made, "status": {"phase": "Running"}}, subresource="status")
        assert running["status"]["phase"] == "Running"
        labelled = await client.patch(POD, "p", "default", {"metadata": {"labels": {"a": "1"}}, "status": {"phase": "Failed"}})
        assert (labelled["metadata"]["labels"], labelled["status"]["phase"]) == ({"a": "1"}, "Running")
        ended = await client.patch(POD, "p", "default", {"status": {"phase": "Failed"}}, subresource="status")
        assert ended["status"]["phase"] == "Failed"

    async def test_deleting_says_whether_it_is_gone(self, client: Client) -> None:
        """An object that is held is returned as it now is."""
        made = await client.create(CONFIG_MAP, config("a"))
        assert await client.delete(CONFIG_MAP, "a", "default", uid=made["metadata"]["uid"]) is None
        held = await client.create(CONFIG_MAP, {"metadata": {"name": "h", "namespace": "default", "finalizers": ["x.io/y"]}})
        waiting = await client.delete(CONFIG_MAP, "h", "default")
        assert waiting is not None
        assert waiting["metadata"]["deletionTimestamp"]
        with pytest.raises(errors.Conflict):
            await client.delete(CONFIG_MAP, "h", "default", uid=f"not-{held['metadata']['uid']}")

    async def test_lists_select(self, client: Client) -> None:
        """By namespace, labels and fields."""
        await client.create(CONFIG_MAP, config("a", app="x"))
        await client.create(CONFIG_MAP, config("b", app="y"))
        page = await client.list(CONFIG_MAP, "default", labels="app in (x,z)")
        assert [obj["metadata"]["name"] for obj in page.items] == ["a"]
        assert (page.items[0]["kind"], page.continue_) == ("ConfigMap", None)
        page = await client.list(CONFIG_MAP, fields="metadata.name=b")
        assert [obj["metadata"]["name"] for obj in page.items] == ["b"]

    async def test_lists_come_in_pages(self, client: Client) -> None:
        """Of one moment, and each object once."""
        for name in "abcde":
            await client.create(CONFIG_MAP, config(name))
        found = list[str]()
        token: str | None = None
        versions = set[str]()
        while True:
            page = await client.list(CONFIG_MAP, "default", limit=2, continue_=token)
            versions.add(page.resource_version)
            found += [obj["metadata"]["name"] for obj in page.items]
            token = page.continue_
            if token is None:
                break
            await client.create(CONFIG_MAP, config(f"a{len(found)}"))
        assert found == list("abcde")
        assert len(versions) == 1

    async def test_a_watch_tells_every_change_after_its_version(self, client: Client) -> None:
        """In order, each once."""
        await client.create(CONFIG_MAP, config("before"))
        version = (await client.list(CONFIG_MAP, "default")).resource_version
        made = await client.create(CONFIG_MAP, config("a", "1"))
        async with aclosing(self._watch(client, version)) as events:
            assert await next_of(events) == ("ADDED", "a")
            await client.update(CONFIG_MAP, {**made, "data": {"v": "2"}})
            await client.delete(CONFIG_MAP, "a", "default")
            await client.create(CONFIG_MAP, config("b"))
            assert [await next_of(events) for _ in range(3)] == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]

    async def test_a_watch_sees_through_its_selector(self, client: Client) -> None:
        """What stops matching is deleted, for this watcher."""
        version = (await client.list(CONFIG_MAP, "default")).resource_version
        async with aclosing(self._watch(client, version, labels="app=x")) as events:
            await client.create(CONFIG_MAP, config("other"))
            await client.create(CONFIG_MAP, config("a", app="x"))
            assert await next_of(events) == ("ADDED", "a")
            await client.patch(CONFIG_MAP, "a", "default", {"metadata": {"labels": {"app": None}}})
            assert await next_of(events) == ("DELETED", "a")

    async def test_a_version_that_is_not_held_is_gone(self, client: Client) -> None:
        """The watcher lists again."""
        async with aclosing(self._watch(client, "999999")) as events:
            with pytest.raises(errors.Gone):
                await next_of(events)

    async def test_a_selector_that_cannot_be_read(self, client: Client) -> None:
        """Is the caller's fault, and says where."""
        with pytest.raises(errors.BadRequest, match="unable to parse requirement: found 'b' expected:"):
            await client.list(CONFIG_MAP, labels="a in b")
        with pytest.raises(errors.BadRequest, match="is not a known field selector"):
            await client.list(CONFIG_MAP, fields="data.v=1")

    @staticmethod
    def _watch(client: Client, version: str, **selectors: str) -> Any:
        return client.watch(CONFIG_MAP, "default", resource_version=version, **selectors)
