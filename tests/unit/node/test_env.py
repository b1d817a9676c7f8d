"""A container's variables."""

import base64
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube.core import CONFIG_MAP, SECRET
from kedge.kube.kinds import Obj
from kedge.node import env
from kedge.node.env import MissingError, expand, of_container
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.testing.api import memory_api


def pod(**container: Any) -> Obj:
    meta = {"name": "p", "namespace": "default", "uid": "u", "labels": {"a": "b"}}
    return {"metadata": meta, "spec": {"nodeName": "n", "containers": [{"name": "main", **container}]}}


async def variables(**container: Any) -> env.Environment:
    api = memory_api()
    api.create(
        CONFIG_MAP,
        {"metadata": {"name": "c", "namespace": "default"}, "data": {"ONE": "1", "1-st": "2"}, "binaryData": {"B": "AA=="}},
    )
    secret = {"password": base64.b64encode(b"correct-horse").decode()}
    api.create(SECRET, {"metadata": {"name": "s", "namespace": "default"}, "data": secret})
    made = pod(**container)
    return await of_container(made, made["spec"]["containers"][0], Objects(LocalClient(api)))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$(A)$(A)", "11"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A ${A} $(", "$A ${A} $("),
        ("$(A-b.C)", "2"),
        ("$(1-st) $()", "3 $()"),
    ],
)
def test_references_are_expanded_as_in_kubernetes(text: str, result: str) -> None:
    assert expand(text, {"A": "1", "A-b.C": "2", "1-st": "3"}) == result


async def test_a_variable_sees_those_before_it_only() -> None:
    found = await variables(env=[{"name": "A", "value": "$(B)"}, {"name": "B", "value": "1"}, {"name": "C", "value": "$(B)"}])
    assert found.values == {"A": "$(B)", "B": "1", "C": "1"}


async def test_whole_maps_come_with_a_prefix_and_lose_to_single_variables() -> None:
    found = await variables(envFrom=[{"prefix": "X_", "configMapRef": {"name": "c"}}], env=[{"name": "X_ONE", "value": "mine"}])
    assert found.values == {"X_ONE": "mine", "X_1-st": "2"}
    assert (await variables(envFrom=[{"configMapRef": {"name": "c"}}])).values == {"ONE": "1", "1-st": "2"}


async def test_secrets_are_remembered_for_the_log() -> None:
    one = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "password"}}}
    assert (await variables(env=[one])).secrets == ["correct-horse"]
    assert (await variables(envFrom=[{"secretRef": {"name": "s"}}])).secrets == ["correct-horse"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "couldn't find key k in configmap default/c"),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
    ],
)
async def test_what_is_missing_is_named(source: Obj, message: str) -> None:
    with pytest.raises(MissingError, match=message):
        await variables(env=[{"name": "X", "valueFrom": source}])
    for reference in source.values():
        reference["optional"] = True
    assert (await variables(env=[{"name": "X", "valueFrom": source}])).values == {}


async def test_a_source_that_is_not_known_is_refused() -> None:
    with pytest.raises(Refusal, match=r"env X: valueFrom\.fileKeyRef is not carried out"):
        await variables(env=[{"name": "X", "valueFrom": {"fileKeyRef": {}}}])
