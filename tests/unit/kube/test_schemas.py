"""The schemas of the core kinds: complete, and alike wherever a type is used."""

from collections.abc import Iterator
from typing import Any

import pytest

from kedge.kube.core import KINDS, POD
from kedge.kube.kinds import Kind
from kedge.kube.merging import merge_keys
from kedge.kube.schemas import CoreSchema, is_type, kinds, words


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A schema and all within it."""
    yield path, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from schemas(schema[part], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_schema_says_what_its_fields_are(kind: Kind) -> None:
    for path, schema in schemas(kind.schema):
        assert schema.get("type") in {"object", "array", "string", "boolean", "integer", "number"} or schema.get(
            "x-kubernetes-int-or-string"
        ), f"{kind.kind}{path} has no type"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_only_what_is_free_in_kubernetes_is_open(kind: Kind) -> None:
    opened = [path for path, schema in schemas(kind.schema) if schema.get("x-kubernetes-preserve-unknown-fields")]
    assert all(path.endswith((".fieldsV1", ".parameters", ".data")) for path in opened), opened


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("spec.containers[].ports[].containerPort", "integer"),
        ("spec.initContainers[].securityContext.capabilities.drop[]", "string"),
        ("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[]", "object"),
        ("spec.ephemeralContainers[].targetContainerName", "string"),
        ("spec.volumes[].ephemeral.volumeClaimTemplate.metadata.labels[]", "string"),
        ("status.containerStatuses[].state.terminated.exitCode", "integer"),
    ],
)
def test_fields_of_a_pod(path: str, wanted: str) -> None:
    found = dict(schemas(POD.schema))
    assert found[f".{path}"]["type"] == wanted


@pytest.mark.parametrize("name", sorted(set(kinds().values())))
def test_every_type_of_the_table_is_there_and_has_its_numbers_once(name: str) -> None:
    waiting, seen = [name], set[str]()
    while waiting:
        each = waiting.pop().removeprefix("[]").removeprefix("{}").removeprefix("[]")
        if each in seen or not is_type(each):
            continue
        seen.add(each)
        numbers = [word.number for word in words(each)]
        assert len(numbers) == len(set(numbers))
        waiting += [word.type for word in words(each)]
    assert dict(CoreSchema(name))["type"] == "object"


def test_a_name_that_two_groups_have_says_its_group() -> None:
    assert kinds()["v1", "Event"] == "Event"
    assert kinds()["events.k8s.io/v1", "Event"] == "events.Event"
    assert "note" in CoreSchema("events.Event")["properties"]
    assert "behavior" in dict(schemas(CoreSchema(kinds()["autoscaling/v2", "HorizontalPodAutoscaler"])))[".spec"]["properties"]


def test_an_object_inside_another_says_what_it_is() -> None:
    claim = dict(schemas(CoreSchema("StatefulSet")))[".spec.volumeClaimTemplates[]"]["properties"]
    assert {"apiVersion", "kind", "metadata", "spec", "status"} == claim.keys()
    assert "metadata" not in CoreSchema("StatefulSet")["properties"]


@pytest.mark.parametrize(
    ("name", "path", "keys", "merged"),
    [
        ("Service", ".spec.ports", ["port", "protocol"], "port"),
        ("Deployment", ".spec.template.spec.containers[].ports", ["containerPort", "protocol"], "containerPort"),
        ("Job", ".spec.template.spec.volumes", ["name"], "name"),
        ("Job", ".status.conditions", None, "type"),
        ("Pod", ".spec.tolerations", None, None),
    ],
)
def test_lists_say_how_they_are_merged(name: str, path: str, keys: list[str] | None, merged: str | None) -> None:
    found = dict(schemas(CoreSchema(name)))[path]
    assert found.get("x-kubernetes-list-map-keys") == keys
    assert found.get("x-kubernetes-list-type") == ("map" if keys else "atomic")
    assert found.get("x-kubernetes-patch-merge-key") == merged


def test_merge_keys_follow_from_the_schema() -> None:
    keys = merge_keys(POD)
    assert keys is not None
    wanted = {
        "metadata.ownerReferences": "uid",
        "metadata.finalizers": "",
        "spec.containers.env": "name",
        "spec.initContainers.volumeMounts": "mountPath",
        "spec.topologySpreadConstraints": "topologyKey",
        "spec.volumes.projected.sources": None,
        "spec.tolerations": None,
        "spec.nodeSelector.a/b": None,
        "status.conditions": "type",
    }
    assert {path: keys.get(path) for path in wanted} == wanted
    assert merge_keys(Kind("Widget", "widgets", group="x.io")) is None
