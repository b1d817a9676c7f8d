"""Server-side apply with an unmodified `kubectl`: the same requests have the same owners and conflicts on both hosts."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.testing.host import RunningHost

SSA = ("--server-side",)


class Place:
    """A namespace of the test's own on one host."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._space = ("--namespace", namespace)

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Run a command in the namespace."""
        return self._kubectl(*arguments, *self._space, fails=fails)

    def apply(self, obj: Any, manager: str = "", *arguments: str, verb: str = "apply", fails: bool = False) -> str:
        """Apply from the server's side, as a manager."""
        named = (f"--field-manager={manager}",) if manager else ()
        return self._kubectl.apply(obj, *SSA, *named, *self._space, *arguments, verb=verb, fails=fails)

    def plainly(self, obj: Any, *arguments: str, verb: str = "apply") -> str:
        """Apply from the client's side."""
        return self._kubectl.apply(obj, *self._space, *arguments, verb=verb)

    def read(self, what: str, name: str) -> Any:
        """An object with its managed fields."""
        return json.loads(self("get", what, name, "-o", "json", "--show-managed-fields"))

    def owners(self, what: str, name: str) -> dict[str, Any]:
        """The fields of each manager, by its name and operation."""
        return owners(self.read(what, name))


def owners(obj: Any) -> dict[str, Any]:
    found = obj["metadata"].get("managedFields", [])
    return {
        " ".join(filter(None, (each["manager"], each["operation"], each.get("subresource")))): each["fieldsV1"] for each in found
    }


def config(name: str, data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}
    return obj if data is None else {**obj, "data": data}


@pytest.fixture(scope="module")
def place(either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kubectl = kubectl_of(either_host.host.kubeconfig, tmp_path_factory.mktemp("applied"))
    namespace = f"applied-{secrets.token_hex(4)}"
    kubectl("create", "namespace", namespace)
    yield Place(kubectl, namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.acceptance
def test_two_managers_share_an_object(place: Place) -> None:
    assert "serverside-applied" in place.apply(config("x", {"k": "1", "j": "2"}, labels={"l": "1"}), "a")
    first = place.read("configmap", "x")
    assert owners(first) == {"a Apply": {"f:data": {"f:j": {}, "f:k": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}}
    place.apply(config("x", {"k": "1", "j": "2"}, labels={"l": "1"}), "a")
    assert place.read("configmap", "x") == first  # nothing was written
    place.apply(config("x", {"k": "1"}), "b")
    assert place.owners("configmap", "x")["b Apply"] == {"f:data": {"f:k": {}}}  # both own what is the same
    refused = place.apply(config("x", {"k": "9", "j": "8"}), "b", fails=True)
    assert 'Apply failed with 2 conflicts: conflicts with "a":\n- .data.j\n- .data.k' in refused
    place.apply(config("x", {"k": "9"}), "b", "--force-conflicts")
    assert place.owners("configmap", "x") == {
        "a Apply": {"f:data": {"f:j": {}}, "f:metadata": {"f:labels": {"f:l": {}}}},
        "b Apply": {"f:data": {"f:k": {}}},
    }
    place.apply(config("x"), "a")  # what it drops and nobody else owns goes
    left = place.read("configmap", "x")
    assert (left["data"], left["metadata"].get("labels"), owners(left)) == (
        {"k": "9"},
        None,
        {"b Apply": {"f:data": {"f:k": {}}}},
    )


@pytest.mark.acceptance
def test_other_writes_take_fields_and_are_told_in_conflicts(place: Place) -> None:
    place.apply(config("y", {"k": "1", "m": "1"}), "a")
    place("patch", "configmap", "y", "--type=merge", "--field-manager=p", "-p", '{"data":{"k":"2","n":"3"}}')
    assert place.owners("configmap", "y") == {"a Apply": {"f:data": {"f:m": {}}}, "p Update": {"f:data": {"f:k": {}, "f:n": {}}}}
    refused = place.apply(config("y", {"k": "1", "m": "1"}), "a", fails=True)
    assert 'Apply failed with 1 conflict: conflict with "p" using v1: .data.k' in refused
    place("patch", "configmap", "y", "--type=json", "--field-manager=q", "-p", '[{"op":"remove","path":"/data/m"}]')
    assert place.owners("configmap", "y") == {"p Update": {"f:data": {"f:k": {}, "f:n": {}}}}
    place("patch", "configmap", "y", "--type=merge", "-p", '{"metadata":{"managedFields":[{}]}}')
    assert place.owners("configmap", "y") == {}
    place("patch", "configmap", "y", "--type=merge", "--field-manager=p", "-p", '{"data":{"o":"1"}}')
    assert place.owners("configmap", "y") == {}  # nobody tracks it until somebody applies
    refused = place.apply(config("y", {"k": "7"}), "a", fails=True)
    assert 'conflict with "before-first-apply" using v1: .data.k' in refused
    place.apply(config("y", {"k": "7"}), "a", "--force-conflicts")
    assert place.owners("configmap", "y") == {
        "a Apply": {"f:data": {"f:k": {}}},
        "before-first-apply Update": {"f:data": {".": {}, "f:n": {}, "f:o": {}}},
    }


@pytest.mark.acceptance
def test_from_client_side_to_server_side(place: Place) -> None:
    place.plainly(config("z", {"a": "1", "b": "2"}))
    assert set(place.owners("configmap", "z")) == {"kubectl-client-side-apply Update"}
    place.apply(config("z", {"a": "9", "b": "2"}))  # no conflict: it was this file's before
    moved = place.read("configmap", "z")
    assert moved["data"] == {"a": "9", "b": "2"}
    assert owners(moved)["kubectl Apply"]["f:data"] == {"f:a": {}, "f:b": {}}
    place.apply(config("z", {"a": "9"}))
    assert place.read("configmap", "z")["data"] == {"a": "9"}
    place.plainly(config("z", {"a": "10"}))  # and back
    assert place.read("configmap", "z")["data"] == {"a": "10"}


@pytest.mark.acceptance
def test_lists_are_merged_by_their_keys(place: Place) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "w", "finalizers": ["x.io/a"]}}
    place.apply({**account, "secrets": [{"name": "one"}]}, "a")
    place.apply({**account, "metadata": {"name": "w", "finalizers": ["x.io/b", "x.io/a"]}, "secrets": [{"name": "two"}]}, "b")
    found = place.read("serviceaccount", "w")
    assert {each["name"] for each in found["secrets"]} == {"one", "two"}
    assert sorted(found["metadata"]["finalizers"]) == ["x.io/a", "x.io/b"]
    place.apply({**account, "metadata": {"name": "w"}}, "a")
    found = place.read("serviceaccount", "w")
    assert found["secrets"] == [{"name": "two"}]
    assert sorted(found["metadata"]["finalizers"]) == ["x.io/a", "x.io/b"]  # b owns both
    twice = {**account, "secrets": [{"name": "one"}, {"name": "one"}]}
    assert '.secrets: duplicate entries for key [name="one"]' in place.apply(twice, "a", fails=True)
    unknown = {**account, "secretz": []}
    assert ".secretz: field not declared in schema" in place.apply(unknown, "a", "--validate=ignore", fails=True)
    place.apply({**account, "metadata": {"name": "w"}}, "b")
    assert "finalizers" not in place.read("serviceaccount", "w")["metadata"]


@pytest.mark.acceptance
def test_a_dry_run_and_a_diff_change_nothing(place: Place) -> None:
    assert "serverside-applied (server dry run)" in place.apply(config("dry", {"a": "1"}), "a", "--dry-run=server")
    assert "NotFound" in place("get", "configmap", "dry", fails=True)
    place.apply(config("dry", {"a": "1"}), "a")
    before = place.read("configmap", "dry")
    changed = place.apply(config("dry", {"a": "2"}), "a", verb="diff", fails=True)
    assert '-  a: "1"' in changed
    assert '+  a: "2"' in changed
    assert place.apply(config("dry", {"a": "1"}), "a", verb="diff") == ""
    assert place.read("configmap", "dry") == before
    assert "managedFields" not in place("get", "configmap", "dry", "-o", "yaml")
    assert "f:a: {}" in place("get", "configmap", "dry", "-o", "yaml", "--show-managed-fields")
