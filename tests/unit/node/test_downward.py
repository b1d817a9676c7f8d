"""What a Pod tells its containers of itself."""

from typing import Any

import pytest

from kedge.kube import downward as rules
from kedge.kube import volume_rules
from kedge.kube.core import NODE
from kedge.kube.kinds import Obj
from kedge.node.downward import field_of, quoted, text_of
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.testing.api import StoppingClient, memory_api

NAMES = {"name": "p", "namespace": "default", "uid": "u"}


def pod(**resources: Any) -> Obj:
    entries = {"labels": {"a": "b", "example.com/c": "d"}, "annotations": {"note": 'say "hi"\n', "b": "\t\x01ü"}}
    containers = [{"name": "main", "resources": resources}, {"name": "side", "resources": {"limits": {"cpu": "3"}}}]
    return {"metadata": {**NAMES, **entries}, "spec": {"nodeName": "here", "containers": containers}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u"),
        ("metadata.labels['a']", "b"),
        ("metadata.labels['example.com/c']", "d"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note']", 'say "hi"\n'),
        ("metadata.labels", 'a="b"\nexample.com/c="d"'),
        ("metadata.annotations", 'b="\\t\\x01ü"\nnote="say \\"hi\\"\\n"'),
        ("spec.nodeName", "here"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "127.0.0.1"),
        ("status.hostIPs", "127.0.0.1"),
        ("status.podIP", "127.0.0.1"),
        ("status.podIPs", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert field_of(pod(), path) == value


def test_another_field_is_refused() -> None:
    with pytest.raises(Refusal, match=r"'spec\.priority' is not one of the downward API"):
        field_of(pod(), "spec.priority")


def test_what_cannot_be_printed_is_escaped_as_go_does() -> None:
    assert quoted("\\ \r\x7f\u200b\U000e0001 é") == '"\\\\ \\r\\x7f\\u200b\\U000e0001 é"'


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.cpu", "containerName": "side"}, "3"),
        ({"resource": "limits.cpu", "divisor": "0"}, "2"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.memory", "divisor": "1M"}, "68"),
        ({"resource": "requests.memory"}, "0"),
        ({"resource": "limits.memory", "containerName": "side", "divisor": "1Gi"}, "8"),
        ({"resource": "limits.ephemeral-storage", "divisor": "1k"}, "2000"),
        ({"resource": "requests.ephemeral-storage"}, "0"),
        ({"resource": "limits.hugepages-2Mi"}, "0"),
    ],
    ids=str,
)
async def test_resources_are_those_stated_and_limits_otherwise_what_the_node_has(reference: Obj, value: str) -> None:
    api = memory_api()
    api.create(NODE, {"metadata": {"name": "here"}})
    allocatable = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "2M"}
    api.patch(NODE, "here", None, {"status": {"allocatable": allocatable}}, subresource="status")
    made = pod(limits={"cpu": "1500m", "memory": "64Mi"}, requests={"cpu": "250m"})
    objects = Objects(StoppingClient(api))
    assert await text_of(made, {"resourceFieldRef": reference}, objects, made["spec"]["containers"][0]) == value
    with pytest.raises(Refusal, match="the Pod has no container 'none'"):
        await text_of(made, {"resourceFieldRef": {**reference, "containerName": "none"}}, objects)


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"fieldRef": {"fieldPath": "metadata.labels"}}, "fieldRef.fieldPath"),
        ({"fieldRef": {"fieldPath": "spec.priority"}}, "fieldRef.fieldPath"),
        ({"fieldRef": {"fieldPath": "metadata.labels['not a key']"}}, "fieldRef"),
        ({"fieldRef": {}}, "fieldRef.fieldPath"),
        ({"resourceFieldRef": {"resource": "limits.nvidia.com/gpu"}}, "resourceFieldRef.resource"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Mi"}}, "resourceFieldRef.divisor"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1m"}}, "resourceFieldRef.divisor"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "much"}}, "resourceFieldRef.divisor"),
    ],
    ids=str,
)
def test_a_variable_of_what_the_downward_api_has_not_is_refused_by_name(source: Obj, field: str) -> None:
    assert [cause.field for cause in rules.variable_faults(source, "valueFrom")] == [f"valueFrom.{field}"]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, ".path"),
        ({"path": "../a", "fieldRef": {"fieldPath": "metadata.name"}}, ".path"),
        ({"path": "a"}, ""),
        ({"path": "a", "fieldRef": {"fieldPath": "metadata.name"}, "resourceFieldRef": {}}, ""),
        ({"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}, ".fieldRef.fieldPath"),
        ({"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}, ".resourceFieldRef.containerName"),
    ],
    ids=str,
)
def test_a_file_of_what_the_downward_api_has_not_is_refused_by_name(item: Obj, field: str) -> None:
    volume: Obj = {"downwardAPI": {"items": [item]}}
    _, found = volume_rules.faults_of([{"name": "v", **volume}], "v")
    assert f"v[0].downwardAPI{field}" in [cause.field for cause in found]
    projected = {"projected": {"sources": [{"secret": {"name": "s"}}, volume]}}
    _, found = volume_rules.faults_of([{"name": "v", **projected}], "v")
    assert f"v[0].projected.sources[1].downwardAPI{field}" in [cause.field for cause in found]
