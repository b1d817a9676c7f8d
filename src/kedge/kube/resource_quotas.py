"""ResourceQuota, with Kubernetes' rules; what counts towards one is in `quotas`."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

COMPUTED = ("cpu", "memory", "ephemeral-storage")
COUNTED = (
    "pods",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
)
_STANDARD = frozenset(
    {*COMPUTED, *COUNTED, "requests.storage", *(f"{part}.{name}" for part in ("requests", "limits") for name in COMPUTED)}
)
_OF_PODS = frozenset({*COMPUTED, "pods", *(f"{part}.{name}" for part in ("requests", "limits") for name in COMPUTED)})
_SCOPES = ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_TERM = ("scopeName", "operator", "values")
_EXISTS_RULE = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_CONFLICTS = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def _default(quota: Obj) -> None:
    quota.setdefault("spec", {})
    quota.setdefault("status", {})


def _validate(quota: Obj, old: Obj | None) -> list[Cause]:
    spec = quota.get("spec") or {}
    found = [fault for name, value in sorted((spec.get("hard") or {}).items()) for fault in _hard_faults(name, value)]
    found += _scope_faults(spec)
    found += _selector_faults(spec)
    if old is not None and (spec.get("scopes") or []) != ((old.get("spec") or {}).get("scopes") or []):
        found.append(faults.invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return found


def _hard_faults(name: str, value: Any) -> Iterator[Cause]:
    at = f"spec.hard[{name}]"
    if "/" in name:
        yield from faults.qualified(at, name)
    elif name not in _STANDARD and not name.startswith("hugepages-"):
        yield faults.invalid(at, name, "must be a standard resource type or fully qualified")
        yield faults.invalid(at, name, "must be a standard resource for quota")
    try:
        amount = quantities.parse(value)
    except ValueError as error:
        yield faults.invalid(at, value, str(error))
        return
    if amount < 0:
        yield faults.invalid(at, str(value), "must be greater than or equal to 0")
    if (name in COUNTED or name.startswith("count/")) and amount != amount.to_integral_value():
        yield faults.invalid(at, quantities.render(amount), "must be an integer")


def _scope_faults(spec: Obj) -> Iterator[Cause]:
    scopes: list[str] = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            yield faults.invalid("spec.scopes", scopes, "unsupported scope")
        for name in spec.get("hard") or {}:
            if not _fits(scope, name):
                yield faults.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in _CONFLICTS:
        if set(pair) <= set(scopes):
            yield faults.invalid("spec.scopes", scopes, "conflicting scopes")


def _fits(scope: str, name: str) -> bool:
    """Whether what a quota counts can have a scope; what no scope is, is told otherwise."""
    if scope not in _SCOPES:
        return True
    return name == "pods" if scope == "BestEffort" else name in _OF_PODS


def _operator_faults(operator: str, values: list[str], at: str) -> Iterator[Cause]:
    if operator in {"In", "NotIn"} and not values:
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        yield faults.required(f"{at}.values", why)
    elif operator in {"Exists", "DoesNotExist"} and values:
        why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        yield faults.invalid(f"{at}.values", values, why)
    elif operator not in _OPERATORS:
        yield faults.invalid(f"{at}.operator", operator, "not a valid selector operator")


def _selector_faults(spec: Obj) -> Iterator[Cause]:
    """What is wrong with the scopes of a quota that are written as a selector."""
    terms = [term for _, term in faults.objects((spec.get("scopeSelector") or {}).get("matchExpressions"))]
    at, scopes = "spec.scopeSelector.matchExpressions", {term.get("scopeName") or "" for term in terms}
    shown = {"MatchExpressions": [{key[0].upper() + key[1:]: term.get(key) for key in _TERM} for term in terms]}
    for term in terms:
        scope, operator, values = term.get("scopeName") or "", term.get("operator") or "", term.get("values") or []
        if scope not in _SCOPES:
            yield faults.invalid(f"{at}.scopeName", scope, "unsupported scope")
        for name in sorted(spec.get("hard") or {}):
            if not _fits(scope, name):
                yield faults.invalid(at, shown, "unsupported scope applied to resource")
        if scope in _SCOPES and scope != "PriorityClass" and operator != "Exists":
            yield faults.invalid(f"{at}.operator", operator, _EXISTS_RULE)
        yield from _operator_faults(operator, values, at)
    for pair in _CONFLICTS:
        if set(pair) <= scopes:
            yield faults.invalid("spec.scopeSelector.matchExpressions", spec.get("scopes"), "conflicting scopes")


def _used(quota: Obj, *, limits: bool) -> str:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    found = [name for name in sorted(hard) if name.startswith("limits.") == limits]
    return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in found)


RESOURCE_QUOTA = Kind(
    "ResourceQuota",
    "resourcequotas",
    short_names=("quota",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("ResourceQuota"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Request", lambda quota: _used(quota, limits=False), description="What is used, of what may be."),
        Column("Limit", lambda quota: _used(quota, limits=True), description="Limits together, of what they may be."),
    ),
)
