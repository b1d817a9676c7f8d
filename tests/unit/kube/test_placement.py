"""What may be said about where Pods run: the rules that a real API server has."""

from typing import Any

import pytest

from kedge.kube import placement
from kedge.kube.placement import REQUIRED
from kedge.kube.pod_rules import spec_faults


def node_terms(*expressions: Any, part: str = "matchExpressions") -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{part: list(expressions)}]}}}}


def pod_term(**term: Any) -> dict[str, Any]:
    return {"affinity": {"podAntiAffinity": {REQUIRED: [term]}}}


POD: dict[str, Any] = {"containers": [{"name": "main", "image": "busybox"}]}
TERM = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0]"
PODS = f"spec.affinity.podAntiAffinity.{REQUIRED}[0]"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"nodeSelector": {"not a key": "x"}}, "spec.nodeSelector"),
        ({"tolerations": [{"key": "a", "operator": "Near"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"value": "a"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "spec.tolerations[0].operator"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "spec.tolerations[0].effect"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "spec.tolerations[0].effect"),
        (node_terms({"key": "a", "operator": "Near"}), f"{TERM}.matchExpressions[0].operator"),
        (node_terms({"operator": "Exists"}), f"{TERM}.matchExpressions[0].key"),
        (node_terms({"key": "a", "operator": "In"}), f"{TERM}.matchExpressions[0].values"),
        (node_terms({"key": "a", "operator": "Exists", "values": ["b"]}), f"{TERM}.matchExpressions[0].values"),
        (node_terms({"key": "a", "operator": "Gt", "values": ["1", "2"]}), f"{TERM}.matchExpressions[0].values"),
        (node_terms({"key": "a", "operator": "In", "values": ["b"]}, part="matchFields"), f"{TERM}.matchFields[0].key"),
        (node_terms({"key": "metadata.name", "operator": "Exists"}, part="matchFields"), f"{TERM}.matchFields[0].operator"),
        (pod_term(labelSelector={}), f"{PODS}.topologyKey"),
        (
            pod_term(topologyKey="a", labelSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
            f"{PODS}.labelSelector.matchExpressions[0].operator",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_meant_is_refused_by_name(spec: dict[str, Any], field: str) -> None:
    assert field in [cause.field for cause in spec_faults({**POD, **spec})]


def test_what_can_be_meant_is_taken() -> None:
    spec = {
        "nodeSelector": {"a.b/c": "d"},
        "tolerations": [{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}],
        **node_terms({"key": "a", "operator": "Gt", "values": ["1"]}, {"key": "b", "operator": "DoesNotExist"}),
    }
    assert list(spec_faults({**POD, **spec})) == []
    assert list(spec_faults({**POD, **pod_term(topologyKey="a", labelSelector={"matchLabels": {"a": "b"}})})) == []


def test_a_taint_has_a_key_an_effect_and_is_there_once() -> None:
    def fields(*taints: Any) -> list[str]:
        return [cause.field for cause in placement.validate_node({"spec": {"taints": list(taints)}}, None)]

    taint = {"key": "a", "value": "b", "effect": "NoSchedule"}
    assert fields(taint, {**taint, "effect": "NoExecute"}) == []
    assert fields(taint, taint) == ["metadata.taints[1]"]
    assert set(fields({"effect": "NoSchedule"})) == {"metadata.taints[0].key"}
    assert fields({"key": "a", "value": "b c", "effect": "Never"}) == ["metadata.taints[0].value", "metadata.taints[0].effect"]
