"""What a real API server says to ConfigMaps, Secrets, Leases, quotas, ranges and scalers: the words of Kubernetes' validation."""

import base64
from typing import Any

import pytest

from kedge.kube import autoscaling, core, limit_ranges, resource_quotas
from kedge.kube.kinds import Kind, Obj

MIB = 1 << 20


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(kind: str, **data: str) -> Obj:
    return {"metadata": {"name": "s"}, "type": kind, "data": {key: encoded(text) for key, text in data.items()}}


def told(kind: Kind, new: Obj, old: Obj | None = None) -> list[str]:
    assert kind.validate is not None
    if kind.default is not None:
        kind.default(new)
    return [f"{cause.field}: {cause.message}" for cause in kind.validate({"metadata": {"name": "x"}, **new}, old)]


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (secret("kubernetes.io/tls"), ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        (secret("kubernetes.io/ssh-auth", **{"ssh-privatekey": ""}), ["data[ssh-privatekey]: Required value"]),
        (secret("kubernetes.io/basic-auth"), ["data[username]: Required value", "data[password]: Required value"]),
        (secret("kubernetes.io/basic-auth", username=""), []),
        (secret("kubernetes.io/dockerconfigjson"), ["data[.dockerconfigjson]: Required value"]),
        (
            secret("kubernetes.io/dockercfg", **{".dockercfg": ""}),
            ['data[.dockercfg]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'],
        ),
        (
            secret("kubernetes.io/service-account-token"),
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        (secret("Opaque", a="x" * (MIB + 1)), [f"data: Too long: may not be more than {MIB} bytes"]),
        (secret("Opaque", a="x" * MIB), []),
    ],
    ids=str,
)
def test_a_secret_has_what_its_type_needs(new: Obj, said: list[str]) -> None:
    assert told(core.SECRET, new) == said


def test_a_secrets_type_stays() -> None:
    assert told(core.SECRET, secret("a"), secret("b")) == ['type: Invalid value: "a": field is immutable']


def test_a_size_is_told_in_bytes() -> None:
    assert told(core.CONFIG_MAP, {"data": {"a": "é" * (MIB // 2)}}) == []
    assert told(core.CONFIG_MAP, {"data": {"a": "é" * (MIB // 2 + 1)}}) == [f"[]: Too long: may not be more than {MIB} bytes"]


def test_what_is_immutable_stays() -> None:
    old = {"data": {"a": "1"}, "immutable": True}
    frozen = "Forbidden: field is immutable when `immutable` is set"
    assert told(core.CONFIG_MAP, {"data": {"a": "2"}}, old) == [f"immutable: {frozen}", f"data: {frozen}"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"leaseDurationSeconds": -5}, "spec.leaseDurationSeconds: Invalid value: -5: must be greater than 0"),
        ({"leaseTransitions": -1}, "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"),
    ],
)
def test_a_leases_numbers_are_numbers_of_something(spec: Obj, said: str) -> None:
    assert told(core.LEASE, {"spec": spec}) == [said]


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ({"scopeName": "Foo", "operator": "Exists"}, 'scopeName: Invalid value: "Foo": unsupported scope'),
        ({"scopeName": "PriorityClass", "operator": "Bar"}, 'operator: Invalid value: "Bar": not a valid selector operator'),
        (
            {"scopeName": "PriorityClass", "operator": "In"},
            "values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ),
    ],
)
def test_a_quotas_selector_is_one(term: Obj, said: str) -> None:
    spec = {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [term]}}
    assert told(resource_quotas.RESOURCE_QUOTA, {"spec": spec}) == [f"spec.scopeSelector.matchExpressions.{said}"]


def test_a_ratio_is_no_more_than_its_bounds_allow() -> None:
    limit = {"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}
    assert told(limit_ranges.LIMIT_RANGE, {"spec": {"limits": [limit]}}) == [
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
    ]
    bogus = {"type": "Container", "max": {"bogus": "1"}, "default": {"bogus": "1"}, "defaultRequest": {"bogus": "1"}}
    said = told(limit_ranges.LIMIT_RANGE, {"spec": {"limits": [bogus]}})
    assert 'spec.limits[0].max[bogus]: Invalid value: "bogus": must be a standard resource for containers' in said


def scaler(**spec: Any) -> list[str]:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    return told(autoscaling.HORIZONTAL_POD_AUTOSCALER, {"spec": {"scaleTargetRef": target, "maxReplicas": 2, **spec}})


def test_a_scalers_metrics_and_behaviour_are_whole() -> None:
    share = {"type": "Utilization", "averageUtilization": 5}
    assert scaler(metrics=[{"type": "ContainerResource", "containerResource": {"name": "cpu", "target": share}}]) == [
        "spec.metrics[0].containerResource.container: Required value: must specify a container"
    ]
    assert scaler(metrics=[{"type": "Pods", "pods": {"metric": {}, "target": {"type": "AverageValue"}}}]) == [
        "spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
        "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
    ]
    rules = {
        "stabilizationWindowSeconds": 4000,
        "selectPolicy": "Foo",
        "policies": [{"type": "x", "value": 0, "periodSeconds": 1}],
    }
    at = "spec.behavior.scaleDown"
    assert scaler(behavior={"scaleDown": rules}) == [
        f"{at}.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600",
        f'{at}.selectPolicy: Unsupported value: "Foo": supported values: "Disabled", "Max", "Min"',
        f'{at}.policies[0].type: Unsupported value: "x": supported values: "Percent", "Pods"',
        f"{at}.policies[0].value: Invalid value: 0: must be greater than zero",
    ]
