"""HorizontalPodAutoscalers as ``autoscaling/v1`` shows them: the same objects as those of v2, which can say more.

Version 1 knows one goal, a share of processors; everything else of v2 stands in annotations, as on a real API server
(``pkg/apis/autoscaling/v1`` of Kubernetes): metrics in a form of their own, behaviour and conditions as v2 has them. Metrics as
they were measured last are not shown: nothing measures here yet.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kedge.errors import Cause
from kedge.kube import autoscaling
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Form, Kind, Obj
from kedge.kube.schemas import CoreSchema

_V2 = autoscaling.HORIZONTAL_POD_AUTOSCALER
_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR, _CONDITIONS = (f"{_PREFIX}{each}" for each in ("metrics", "behavior", "conditions"))
_SHARE, _STATUS_SHARE = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"
_DEFAULT_SHARE = 80
_MEAN = ("target.averageValue", "targetAverageValue")
_RESOURCE = (("name", "name"), ("target.averageUtilization", "targetAverageUtilization"), _MEAN)
# What each source of a metric is called in v2, and in v1.
_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "containerResource": (("container", "container"), *_RESOURCE),
    "external": (("metric.name", "metricName"), ("metric.selector", "metricSelector"), ("target.value", "targetValue"), _MEAN),
    "object": (
        ("describedObject", "target"),
        ("metric.name", "metricName"),
        ("metric.selector", "selector"),
        ("target.value", "targetValue"),
        ("target.averageValue", "averageValue"),
    ),
    "pods": (("metric.name", "metricName"), ("metric.selector", "selector"), _MEAN),
    "resource": _RESOURCE,
}


# What a value of an annotation is to be, where it is no text; one that is something else is not read.
_FORMS: Mapping[str, type] = {"describedObject": dict, "metric.selector": dict, "target.averageUtilization": int}


def shown(scaler: Obj) -> Obj:
    """An autoscaler of v2 as v1 has it."""
    spec, status = {**(scaler.get("spec") or {})}, {**(scaler.get("status") or {})}
    metrics, behavior = spec.pop("metrics", None) or [], spec.pop("behavior", None)
    shares = [share for each in metrics if (share := _share(each)) is not None]
    told = {_METRICS: [_short(each) for each in metrics if _share(each) is None], _BEHAVIOR: behavior}
    told[_CONDITIONS] = status.pop("conditions", None)
    status.pop("currentMetrics", None)
    if shares:
        spec[_SHARE] = shares[0]
    status.setdefault("currentReplicas", 0)
    texts = {key: json.dumps(value, separators=(",", ":")) for key, value in told.items() if value}
    return _made(scaler, "autoscaling/v1", (spec, status), texts)


def kept(scaler: Obj) -> Obj:
    """The same, back."""
    spec, status = {**(scaler.get("spec") or {})}, {**(scaler.get("status") or {})}
    share = spec.pop(_SHARE, None)
    status.pop(_STATUS_SHARE, None)
    metrics = [_long(each) for each in _read(scaler, _METRICS, list) if isinstance(each, dict)]
    if share is not None or not metrics:
        target = {"type": "Utilization", "averageUtilization": _DEFAULT_SHARE if share is None else share}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec["metrics"] = metrics
    if behavior := _read(scaler, _BEHAVIOR, dict):
        spec["behavior"] = behavior
    if conditions := _read(scaler, _CONDITIONS, list):
        status["conditions"] = conditions
    return _made(scaler, "autoscaling/v2", (spec, status), {})


def _made(scaler: Obj, version: str, parts: tuple[Obj, Obj], texts: Mapping[str, str]) -> Obj:
    """An autoscaler of a version, with its own annotations and those that hold what the version has no field for."""
    meta = {**scaler["metadata"]}
    own = {key: text for key, text in (meta.pop("annotations", None) or {}).items() if not key.startswith(_PREFIX)}
    if annotations := {**own, **texts}:
        meta["annotations"] = annotations
    return {**scaler, "apiVersion": version, "metadata": meta, "spec": parts[0], "status": parts[1]}


def _share(metric: Obj) -> int | None:
    """The share of processors that a metric is about; ``None`` for another one."""
    source = metric.get("resource") or {}
    is_share = metric.get("type") == "Resource" and source.get("name") == "cpu"
    return (source.get("target") or {}).get("averageUtilization") if is_share else None


def _short(metric: Obj) -> Obj:
    made: Obj = {"type": metric.get("type")}
    for source, names in _NAMES.items():
        if isinstance(found := metric.get(source), dict):
            values = ((short, _at(found, path)) for path, short in names)
            made[source] = {short: value for short, value in values if value is not None}
    return made


def _at(obj: Any, path: str) -> Any:
    for key in path.split("."):
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def _long(metric: Obj) -> Obj:
    made: Obj = {"type": str(metric.get("type") or "")}
    for source, names in _NAMES.items():
        if isinstance(found := metric.get(source), dict):
            made[source] = _long_source(found, names)
    return made


def _long_source(short: Obj, names: tuple[tuple[str, str], ...]) -> Obj:
    made: Obj = {}
    for path, name in names:
        *parents, leaf = path.split(".")
        inner = made
        for parent in parents:
            inner = inner.setdefault(parent, {})
        if isinstance(short.get(name), _FORMS.get(path, str)):
            inner[leaf] = short[name]
    target = made["target"]
    kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
    target["type"] = next((kind for key, kind in kinds.items() if key in target), "Value")
    return made


def _read(scaler: Obj, key: str, form: type) -> Any:
    """What an annotation holds; nothing where it cannot be read, as on a real API server."""
    try:
        found = json.loads((scaler["metadata"].get("annotations") or {}).get(key) or "null")
    except ValueError:
        found = None
    return found if isinstance(found, form) else form()


def _default(scaler: Obj) -> None:
    scaler.setdefault("spec", {}).setdefault("minReplicas", 1)
    scaler["status"] = {"currentReplicas": 0, "desiredReplicas": 0, **(scaler.get("status") or {})}


def _validate(scaler: Obj, old: Obj | None) -> list[Cause]:
    validate = _V2.validate
    return validate(kept(scaler), None if old is None else kept(old)) if validate is not None else []


HORIZONTAL_POD_AUTOSCALER: Kind = replace(
    _V2,
    version="v1",
    schema=CoreSchema("autoscaling.HorizontalPodAutoscaler"),
    form=Form(_V2.resource, shown, kept),
    default=_default,
    validate=_validate,
    columns=tolerant(*(replace(column, value=lambda scaler, made=column.value: made(kept(scaler))) for column in _V2.columns)),
)
KINDS = (HORIZONTAL_POD_AUTOSCALER,)
