"""HorizontalPodAutoscaler (``autoscaling/v2``): kept with Kubernetes' defaults, rules and columns.

Nothing scales by it here yet.
"""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_LONGEST_WINDOW, _LONGEST_PERIOD = 3600, 1800
_UP_POLICIES = ({"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15})
_DOWN_POLICIES = ({"type": "Percent", "value": 100, "periodSeconds": 15},)


def _default(scaler: Obj) -> None:
    spec = scaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if isinstance(behavior := spec.get("behavior"), dict):
        for key, policies in (("scaleUp", _UP_POLICIES), ("scaleDown", _DOWN_POLICIES)):
            rules = behavior.setdefault(key, {})
            rules.setdefault("selectPolicy", "Max")
            rules.setdefault("policies", [dict(each) for each in policies])
        behavior["scaleUp"].setdefault("stabilizationWindowSeconds", 0)
    scaler["status"] = {"desiredReplicas": 0, **(scaler.get("status") or {})}


def _validate(scaler: Obj, old: Obj | None) -> list[Cause]:
    spec = scaler.get("spec") or {}
    return [] if old is not None and spec == old.get("spec") else list(_faults(spec))


def _faults(spec: Obj) -> Iterator[Cause]:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas") or 0
    if least < 1:
        yield faults.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield faults.required("spec.maxReplicas", "must be set and greater than 0")
    if most < least:
        yield faults.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from _target_faults(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in faults.objects(spec.get("metrics")):
        yield from _metric_faults(metric, f"spec.metrics[{index}]")
    for way in ("scaleUp", "scaleDown"):
        yield from _behavior_faults((spec.get("behavior") or {}).get(way), f"spec.behavior.{way}")
    if least == 0 and not any(each.get("type") in {"Object", "External"} for _, each in faults.objects(spec.get("metrics"))):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield faults.forbidden("spec.metrics", why)


def _target_faults(target: Obj, at: str) -> Iterator[Cause]:
    for key in ("kind", "name"):
        if not target.get(key):
            yield faults.required(f"{at}.{key}")
    version = target.get("apiVersion") or ""
    if "/" not in version and version != "v1":
        yield faults.invalid(f"{at}.apiVersion", version, "apiVersion must specify API group")


def _metric_faults(metric: Obj, at: str) -> Iterator[Cause]:
    kind = metric.get("type") or ""
    if kind not in _SOURCES:
        yield faults.unsupported(f"{at}.type", kind, _SOURCES)
        yield faults.unsupported(f"{at}.type", kind, _SOURCES)  # a real API server says it twice
        return
    key = _SOURCES[kind]
    source = metric.get(key)
    if source is None:
        yield faults.required(f"{at}.{key}", "must populate information for the given metric source")
    else:
        yield from _source_faults(kind, source, f"{at}.{key}")
    for other in _SOURCES.values():
        if other != key and metric.get(other) is not None:
            yield faults.forbidden(f"{at}.{other}", "must populate the given metric source only")


def _source_faults(kind: str, source: Obj, at: str) -> Iterator[Cause]:
    if kind in {"Resource", "ContainerResource"}:
        if not source.get("name"):
            yield faults.required(f"{at}.name", "must specify a resource name")
        if kind == "ContainerResource" and not source.get("container"):
            yield faults.required(f"{at}.container", "must specify a container")
    else:
        if kind == "Object":
            yield from _target_faults(source.get("describedObject") or {}, f"{at}.describedObject")
        if not (source.get("metric") or {}).get("name"):
            yield faults.required(f"{at}.metric.name", "must specify a metric name")
    target = source.get("target") or {}
    yield from _goal_faults(target, f"{at}.target")
    yield from _choice_faults(kind, target, f"{at}.target")


def _goal_faults(target: Obj, at: str) -> Iterator[Cause]:
    if (kind := target.get("type") or "") not in {"Utilization", "Value", "AverageValue"}:
        yield faults.invalid(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue")
    if (share := target.get("averageUtilization")) is not None and share < 1:
        yield faults.invalid(f"{at}.averageUtilization", share, "must be greater than 0")
    for key in ("value", "averageValue"):
        value = target.get(key)
        if value is not None and (quantities.fault(value) or not quantities.parse(value)):
            yield faults.invalid(f"{at}.{key}", str(value), "must be positive")


def _choice_faults(kind: str, target: Obj, at: str) -> Iterator[Cause]:
    share, average, value = (target.get(key) is not None for key in ("averageUtilization", "averageValue", "value"))
    if kind in {"Resource", "ContainerResource"}:
        if not share and not average:
            yield faults.required(f"{at}.averageUtilization", "must set either a target raw value or a target utilization")
        if share and average:
            yield faults.forbidden(f"{at}.averageValue", "may not set both a target raw value and a target utilization")
    elif kind == "Pods":
        if not average:
            yield faults.required(f"{at}.averageValue", "must specify a positive target averageValue")
    elif kind == "Object":
        if not value and not average:
            yield faults.required(f"{at}.averageValue", "must set either a target value or a per-pod target")
    elif not value and not average:
        yield faults.required(f"{at}.averageValue", "must set either a target value for metric or a per-pod target")
    elif value and average:
        yield faults.forbidden(f"{at}.value", "may not set both a target value for metric and a per-pod target")


def _behavior_faults(rules: Obj | None, at: str) -> Iterator[Cause]:
    """What is wrong with how fast something is scaled one way."""
    if rules is None:
        return
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        yield faults.invalid(f"{at}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    elif window is not None and window > _LONGEST_WINDOW:
        why = f"must be less than or equal to {_LONGEST_WINDOW}"
        yield faults.invalid(f"{at}.stabilizationWindowSeconds", window, why)
    yield from faults.one_of(rules, "selectPolicy", at, ("Disabled", "Max", "Min"))
    if not rules.get("policies"):
        yield faults.required(f"{at}.policies", "must specify at least one Policy")
    for index, policy in faults.objects(rules.get("policies")):
        place = f"{at}.policies[{index}]"
        if (kind := policy.get("type") or "") not in {"Percent", "Pods"}:
            yield faults.unsupported(f"{place}.type", kind, ("Percent", "Pods"))
        for key in ("value", "periodSeconds"):
            if (number := policy.get(key) or 0) <= 0:
                yield faults.invalid(f"{place}.{key}", number, "must be greater than zero")
        if (period := policy.get("periodSeconds") or 0) > _LONGEST_PERIOD:
            yield faults.invalid(f"{place}.periodSeconds", period, f"must be less than or equal to {_LONGEST_PERIOD}")


def _spec(scaler: Obj) -> Obj:
    return scaler.get("spec") or {}


def _reference(scaler: Obj) -> str:
    target = _spec(scaler).get("scaleTargetRef") or {}
    return f"{target.get('kind')}/{target.get('name')}"


def _goals(scaler: Obj) -> str:
    texts = [_goal(each) for _, each in faults.objects(_spec(scaler).get("metrics"))]
    return (", ".join(texts[:2]) + (f" + {len(texts) - 2} more..." if len(texts) > 2 else "")) or "<none>"


def _goal(metric: Obj) -> str:
    source: Any = metric.get(_SOURCES.get(metric.get("type") or "", "")) or {}
    target = source.get("target") or {}
    name = f"{source['name']}: " if source.get("name") else ""
    share = target.get("averageUtilization")
    wanted = f"{share}%" if share is not None else str(target.get("averageValue") or target.get("value") or "<auto>")
    return f"{name}<unknown>/{wanted}"


HORIZONTAL_POD_AUTOSCALER = Kind(
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    group="autoscaling",
    version="v2",
    short_names=("hpa",),
    categories=("all",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("HorizontalPodAutoscaler"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Reference", _reference, description="What is scaled."),
        Column("Targets", _goals, description="What is measured, and what it shall be."),
        Column("MinPods", lambda obj: str(_spec(obj).get("minReplicas", "<unset>")), description="The fewest Pods."),
        Column("MaxPods", lambda obj: _spec(obj).get("maxReplicas"), description="The most Pods."),
        Column("Replicas", lambda obj: (obj.get("status") or {}).get("currentReplicas", 0), description="How many there are."),
    ),
)
KINDS = (HORIZONTAL_POD_AUTOSCALER,)
