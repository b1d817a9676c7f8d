"""Defaults and rules of the kinds of the group ``apps``, which keep Pods running, in Kubernetes' own sentences."""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names
from kedge.kube.claims import spec_faults as claim_faults
from kedge.kube.faults import forbidden, invalid, label, not_negative, number_or_percent, required, unsupported
from kedge.kube.kinds import Obj
from kedge.kube.templates import default_template, keeper_faults

ROLLING = "RollingUpdate"
RECREATE = "Recreate"
ON_DELETE = "OnDelete"
ORDERED, PARALLEL = "OrderedReady", "Parallel"
RETAIN, DELETE = "Retain", "Delete"
_STRATEGY = "spec.strategy"
_PERCENT = re.compile(r"[0-9]+%")
_STATEFUL_CHANGES = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)

_DAEMON_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def _spec(obj: Obj) -> Obj:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec)
    return spec


def default_replica_set(obj: Obj) -> None:
    """Fill in what a real API server fills in."""
    _spec(obj)
    obj.setdefault("status", {"replicas": 0})


def default_deployment(obj: Obj) -> None:
    """Fill in what a real API server fills in."""
    spec = _spec(obj)
    strategy = spec.setdefault("strategy", {})
    strategy["type"] = strategy.get("type") or ROLLING
    if strategy["type"] == ROLLING:
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    obj.setdefault("status", {})


def default_stateful_set(obj: Obj) -> None:
    """Fill in what a real API server fills in; ``maxUnavailable`` is dropped as there, where its gate is off."""
    spec = _spec(obj)
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or ORDERED
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or ROLLING
    if strategy["type"] == ROLLING:
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    if isinstance(rolling := strategy.get("rollingUpdate"), dict):
        rolling.pop("maxUnavailable", None)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for key in ("whenDeleted", "whenScaled"):
        policy[key] = policy.get(key) or RETAIN
    spec.setdefault("revisionHistoryLimit", 10)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {"replicas": 0, "availableReplicas": 0})


def default_daemon_set(obj: Obj) -> None:
    """Fill in what a real API server fills in."""
    spec = obj.setdefault("spec", {})
    default_template(spec)
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or ROLLING
    rolling = strategy.setdefault("rollingUpdate", {}) if strategy["type"] == ROLLING else strategy.get("rollingUpdate")
    if rolling is not None:
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    status = obj.setdefault("status", {})
    for key in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(key, 0)


def default_revision(obj: Obj) -> None:
    """Fill in what a real API server fills in."""
    obj.setdefault("revision", 0)


def validate_replica_set(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    spec = new["spec"]
    causes = list(replica_counts(new))
    if old is None or spec != old["spec"]:
        causes += not_negative(spec, "spec", "replicas")
        causes += not_negative(spec, "spec", "minReadySeconds")
        causes += keeper_faults(spec, "ReplicaSet")
        causes += _same_selector(spec, old)
    return causes


def validate_deployment(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    spec = new["spec"]
    causes = list(replica_counts(new))
    if old is not None and spec == old["spec"]:
        return causes
    causes += not_negative(spec, "spec", "replicas")
    causes += keeper_faults(spec, "ReplicaSet")
    causes += _strategy_faults(spec["strategy"])
    causes += not_negative(spec, "spec", "minReadySeconds")
    causes += not_negative(spec, "spec", "revisionHistoryLimit")
    causes += not_negative(spec, "spec", "progressDeadlineSeconds")
    deadline = spec["progressDeadlineSeconds"]
    if deadline <= (spec.get("minReadySeconds") or 0):
        causes.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return causes + list(_same_selector(spec, old))


def _same_selector(spec: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is not None and spec.get("selector") != old["spec"].get("selector"):
        yield invalid("spec.selector", spec.get("selector"), "field is immutable")


def _strategy_faults(strategy: Obj) -> Iterator[Cause]:
    rolling: Any = strategy.get("rollingUpdate")
    named = strategy["type"]
    if named == RECREATE:
        if rolling is not None:
            yield forbidden(f"{_STRATEGY}.rollingUpdate", f"may not be specified when strategy `type` is '{RECREATE}'")
    elif named != ROLLING:
        yield unsupported(_STRATEGY, {"Type": named, "RollingUpdate": rolling}, (RECREATE, ROLLING))
    else:
        path = f"{_STRATEGY}.rollingUpdate"
        unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
        found = list(number_or_percent(f"{path}.maxUnavailable", unavailable, most=0))
        found += number_or_percent(f"{path}.maxSurge", surge, most=0)
        yield from found
        if isinstance(unavailable, str) and _PERCENT.fullmatch(unavailable) and int(unavailable[:-1]) > 100:
            yield invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")
        if not found and not _amount(unavailable) and not _amount(surge):
            yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")


def _amount(value: Any) -> int:
    """A number or a percentage, whatever its whole; nothing for what is none."""
    if not isinstance(value, str):
        return int(value)
    return int(value[:-1]) if _PERCENT.fullmatch(value) else 0


def replica_counts(obj: Obj) -> Iterator[Cause]:
    """What cannot be in a status: a part that is larger than the whole."""
    status = obj.get("status") or {}
    whole = status.get("replicas") or 0
    for key in ("replicas", "observedGeneration"):
        yield from not_negative(status, "status", key)
    labeled = ("fullyLabeledReplicas",) if obj.get("kind") in {"ReplicaSet", "ReplicationController"} else ()
    for key in (*labeled, "updatedReplicas", "readyReplicas", "availableReplicas"):
        yield from not_negative(status, "status", key)
        if (value := status.get(key) or 0) > whole:
            yield invalid(f"status.{key}", value, "cannot be greater than status.replicas")
    if (value := status.get("availableReplicas") or 0) > (status.get("readyReplicas") or 0):
        yield invalid("status.availableReplicas", value, "cannot be greater than readyReplicas")


def validate_stateful_set(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    spec, causes = new["spec"], list(replica_counts(new))
    if old is not None and spec == old["spec"]:
        return causes
    if old is None:
        causes += _name_faults(new["metadata"]["name"])
    causes += _stateful_choices(spec)
    causes += not_negative(spec, "spec", "replicas")
    causes += not_negative(spec, "spec", "minReadySeconds")
    causes += not_negative(spec.get("ordinals") or {}, "spec.ordinals", "start")
    extra: dict[str, Obj] = {}
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        name = (claim.get("metadata") or {}).get("name") or ""
        causes += claim_faults(claim["spec"], f"spec.volumeClaimTemplates[{index}].spec")
        extra[name] = {"name": name, "persistentVolumeClaim": {"claimName": name}}
    causes += keeper_faults(spec, "StatefulSet", extra)
    if old is not None and any(spec.get(key) != old["spec"].get(key) for key in {*spec, *old["spec"]} - _STATEFUL_MUTABLE):
        causes.append(forbidden("spec", _STATEFUL_CHANGES))
    return causes


def validate_daemon_set(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    spec = new["spec"]
    causes = list(not_negative(new.get("status") or {}, "status", *_DAEMON_COUNTS))
    if old is not None and spec == old["spec"]:
        return causes
    causes += keeper_faults(spec, "DaemonSet")
    causes += _daemon_strategy(spec["updateStrategy"])
    causes += not_negative(spec, "spec", "minReadySeconds")
    causes += not_negative(spec, "spec", "revisionHistoryLimit")
    return causes + list(_same_selector(spec, old))


def _daemon_strategy(strategy: Obj) -> Iterator[Cause]:
    path, named, rolling = "spec.updateStrategy", strategy["type"], strategy.get("rollingUpdate")
    if named == ON_DELETE:
        return
    if named != ROLLING or rolling is None:
        told = {"MaxUnavailable": rolling["maxUnavailable"], "MaxSurge": rolling["maxSurge"]} if rolling is not None else None
        yield unsupported(path, {"Type": named, "RollingUpdate": told}, (ROLLING, ON_DELETE))
        return
    path, unavailable, surge = f"{path}.rollingUpdate", rolling["maxUnavailable"], rolling["maxSurge"]
    yield from number_or_percent(f"{path}.maxUnavailable", unavailable)
    yield from number_or_percent(f"{path}.maxSurge", surge)
    if _amount(unavailable) and _amount(surge):
        yield invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not _amount(unavailable) and not _amount(surge):
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def _name_faults(name: str) -> Iterator[Cause]:
    if "." in name:
        yield invalid("metadata.name", name, "must not contain dots")
    elif len(name) > names.LABEL_LIMIT:
        yield invalid("metadata.name", name, "must be no more than 63 characters")


def _stateful_choices(spec: Obj) -> Iterator[Cause]:
    if (policy := spec["podManagementPolicy"]) not in {ORDERED, PARALLEL}:
        yield invalid("spec.podManagementPolicy", policy, f"must be '{ORDERED}' or '{PARALLEL}'")
    strategy = spec["updateStrategy"]
    rolling = strategy.get("rollingUpdate")
    told = {"Partition": rolling.get("partition"), "MaxUnavailable": None} if rolling is not None else None
    if strategy["type"] == ROLLING:
        yield from not_negative(rolling or {}, "spec.updateStrategy.rollingUpdate", "partition")
    elif strategy["type"] != ON_DELETE:
        value = {"Type": strategy["type"], "RollingUpdate": told}
        yield invalid("spec.updateStrategy", value, f"must be '{ROLLING}' or '{ON_DELETE}'")
    elif rolling is not None:
        yield invalid("spec.updateStrategy.rollingUpdate", told, f"only allowed for updateStrategy '{ROLLING}'")
    for key in ("whenDeleted", "whenScaled"):
        if (value := spec["persistentVolumeClaimRetentionPolicy"][key]) not in {RETAIN, DELETE}:
            yield unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{key}", value, (RETAIN, DELETE))
    if service := spec.get("serviceName"):
        yield from label("spec.serviceName", service)


def validate_revision(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    causes: list[Cause] = []
    if (number := new.get("revision") or 0) < 0:
        causes.append(invalid("revision", number, "must be greater than or equal to 0"))
    data = new.get("data")
    if data is None:
        causes.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        causes.append(required("data", "data must be a valid JSON object"))
    if old is not None and data != old.get("data"):
        causes.append(invalid("data", data, "field is immutable"))
    return causes
