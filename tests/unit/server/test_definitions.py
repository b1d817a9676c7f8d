"""Kinds that users define: served at once, under every version, and again after a restart."""

from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.control.controller import reconcile
from kedge.errors import AlreadyExists, BadRequest, Invalid, MethodNotAllowed, NotFound
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind
from kedge.server import discovery
from kedge.server.api import Api
from kedge.server.openapi import Documents
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds
from kedge.workloads.definitions import Definitions

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1, "maximum": 5}},
        },
        "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
    },
}


def definition(plural: str = "lamps", kind: str = "Lamp", **names: Any) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.ready"}},
    }
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"{plural}.light.example.com"},
        "spec": {
            "group": "light.example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, **names},
            "versions": [version, {**version, "name": "v1beta1", "storage": False}],
        },
    }


def lamp(name: str = "one", version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"light.example.com/{version}",
        "kind": "Lamp",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"name": "x", **spec},
    }


@pytest.fixture
def store() -> MemoryLog:
    return MemoryLog()


def server(store: MemoryLog) -> Api:
    return Api(store, (*KINDS, CRD), FakeClock(), FakeIds())


@pytest.fixture
def api(store: MemoryLog) -> Api:
    api = server(store)
    api.create(NAMESPACE, {"metadata": {"name": "default"}})
    return api


async def settle(api: Api, name: str = "lamps.light.example.com") -> None:
    """Let the controller look until it has nothing to do."""
    client = LocalClient(api)
    for _ in range(10):
        writes, again = await reconcile(Definitions(), client, name, api.core.clock.now())
        if not writes and not again:
            return
    raise AssertionError("it never has nothing to do")


def kind(api: Api, version: str = "v1", plural: str = "lamps") -> Kind:
    return api.registry.find("light.example.com", version, plural)


async def test_a_kind_is_served_as_soon_as_its_names_are_accepted(api: Api) -> None:
    api.create(CRD, definition(shortNames=["la"], categories=["all"]))
    with pytest.raises(NotFound):
        kind(api)
    documents = Documents(api.registry, "1")
    assert "apis/light.example.com/v1" not in documents.index()["paths"]
    await settle(api)
    assert api.create(kind(api), lamp())["spec"] == {"name": "x", "size": 1}
    (found,) = [
        each for each in discovery.resource_list(api.registry, "light.example.com", "v1")["resources"] if "/" not in each["name"]
    ]
    assert (found["name"], found["singularName"], found["shortNames"], found["categories"]) == ("lamps", "lamp", ["la"], ["all"])
    assert discovery.group(api.registry, "light.example.com")["preferredVersion"]["version"] == "v1"
    assert b"maximum" in documents.group("apis/light.example.com/v1")
    status = api.get(CRD, "lamps.light.example.com")["status"]
    assert {each["type"]: each["status"] for each in status["conditions"]} == {"NamesAccepted": "True", "Established": "True"}
    assert status["acceptedNames"]["listKind"] == "LampList"


async def test_it_is_there_after_a_restart_with_its_objects(api: Api, store: MemoryLog) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(kind(api), lamp())
    again = server(store)
    assert again.get(kind(again), "one", "default")["spec"]["size"] == 1


async def test_versions_show_the_same_object(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(kind(api, "v1beta1"), lamp(version="v1beta1"))
    new, old = (api.get(kind(api, version), "one", "default") for version in ("v1", "v1beta1"))
    assert (new["apiVersion"], old["apiVersion"]) == ("light.example.com/v1", "light.example.com/v1beta1")
    assert new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
    same = api.update(kind(api, "v1beta1"), old)
    assert same["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"], "nothing was written"
    events = list[str]()
    stop = api.subscribe(
        kind(api, "v1beta1"), None, lambda event: events.append(event.object["apiVersion"]), resource_version="0"
    )
    stop()
    assert events == ["light.example.com/v1beta1"]


async def test_a_changed_definition_holds_at_once_also_for_what_is_stored(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(kind(api), lamp(size=5))
    changed = api.get(CRD, "lamps.light.example.com")
    for version in changed["spec"]["versions"]:
        version["schema"] = {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "spec": {
                        "type": "object",
                        "properties": {"size": {"type": "integer", "maximum": 3}, "colour": {"type": "string", "default": "red"}},
                    }
                },
            }
        }
    api.update(CRD, changed)
    found = api.get(kind(api), "one", "default")
    assert found["spec"] == {"size": 5, "colour": "red"}, "pruned and defaulted as it is read"
    kept = api.update(kind(api), {**found, "spec": {**found["spec"], "colour": "blue"}})
    assert kept["spec"] == {"size": 5, "colour": "blue"}, "what is as it was is not looked at again"
    with pytest.raises(Invalid, match="should be less than or equal to 3"):
        api.update(kind(api), {**kept, "spec": {"size": 4, "colour": "blue"}})


async def test_scale_is_a_number_of_the_object(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(kind(api), lamp(size=2))
    scaled = api.patch(kind(api), "one", "default", {"spec": {"replicas": 4}}, subresource="scale")
    assert (scaled["kind"], scaled["spec"], scaled["status"]) == ("Scale", {"replicas": 4}, {"replicas": 0})
    assert api.get(kind(api), "one", "default")["metadata"]["generation"] == 2
    with pytest.raises(Invalid, match="should be less than or equal to 5"):
        api.patch(kind(api), "one", "default", {"spec": {"replicas": 9}}, subresource="scale")


async def test_a_name_that_another_has_is_not_accepted_until_that_is_gone(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(CRD, definition("bulbs"))
    await settle(api, "bulbs.light.example.com")
    status = api.get(CRD, "bulbs.light.example.com")["status"]
    assert {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]} == {
        "NamesAccepted": ("False", "ListKindConflict"),
        "Established": ("False", "NotAccepted"),
    }
    with pytest.raises(NotFound):
        kind(api, plural="bulbs")
    api.delete(CRD, "lamps.light.example.com")
    await settle(api)
    await settle(api, "bulbs.light.example.com")
    assert kind(api, plural="bulbs").kind == "Lamp"


async def test_a_definition_takes_its_objects_along(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    api.create(kind(api), lamp())
    held = lamp("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(kind(api), held)
    going = api.delete(CRD, "lamps.light.example.com")
    assert going is not None
    assert "Terminating" in [each["type"] for each in going["status"]["conditions"]]
    with pytest.raises(MethodNotAllowed, match="terminating"):
        api.create(kind(api), lamp("late"))
    client = LocalClient(api)
    for _ in range(3):
        await reconcile(Definitions(), client, "lamps.light.example.com", api.core.clock.now())
    (left,) = api.list(kind(api)).items
    assert left["metadata"]["name"] == "held"
    api.patch(kind(api), "held", "default", {"metadata": {"finalizers": None}})
    await settle(api)
    with pytest.raises(NotFound):
        api.get(CRD, "lamps.light.example.com")
    with pytest.raises(NotFound):
        kind(api)


def test_a_group_of_the_hosts_own_is_not_defined_anew(api: Api) -> None:
    wanted = definition()
    wanted["spec"]["group"] = "coordination.k8s.io"
    wanted["metadata"] = {"name": "lamps.coordination.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved"}}
    with pytest.raises(Invalid, match="this host has the group"):
        api.create(CRD, wanted)


def test_a_definition_that_is_none_is_refused(api: Api) -> None:
    wanted = definition()
    wanted["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"a": {}}}
    with pytest.raises(Invalid, match="must not be empty for specified object fields"):
        api.create(CRD, wanted)
    api.create(CRD, definition())
    with pytest.raises(AlreadyExists):
        api.create(CRD, definition())


async def test_another_version_in_the_body_is_refused(api: Api) -> None:
    api.create(CRD, definition())
    await settle(api)
    with pytest.raises(BadRequest, match="does not match the expected API version"):
        api.create(kind(api), lamp(version="v1beta1"))
