"""LimitRange, with Kubernetes' defaults and rules; what it does to others is in `limits`."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.resource_rules import container_name_faults, name_faults
from kedge.kube.schemas import CoreSchema

_LIMITED = ("Container", "Pod", "PersistentVolumeClaim")
_PARTS = ("max", "min", "default", "defaultRequest")


def _default(range_: Obj) -> None:
    for _, limit in faults.objects((range_.get("spec") or {}).get("limits")):
        if limit.get("type") != "Container":
            continue
        # What a container may have at most is its limit, its limit what it asks for, and that no less than the least.
        for target, source in (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")):
            for name, value in (limit.get(source) or {}).items():
                limit.setdefault(target, {}).setdefault(name, value)


def _validate(range_: Obj, old: Obj | None) -> list[Cause]:
    del old
    found: list[Cause] = []
    types = set[str]()
    for index, limit in faults.objects((range_.get("spec") or {}).get("limits")):
        at, kind = f"spec.limits[{index}]", limit.get("type") or ""
        if kind not in _LIMITED and "/" not in kind:
            found.append(faults.invalid(f"{at}.type", kind, "must be a standard limit type or fully qualified"))
        if kind in types:
            found.append(faults.duplicate(f"{at}.type", kind))
            continue
        types.add(kind)
        found += _limit_faults(limit, at, kind)
    return found


def _limit_faults(limit: Obj, at: str, kind: str) -> Iterator[Cause]:
    wrong = False
    check = container_name_faults if kind in {"Container", "Pod"} else name_faults
    for part in (*_PARTS, "maxLimitRequestRatio"):
        for name, value in (limit.get(part) or {}).items():
            yield from check(f"{at}.{part}[{name}]", name)
            if why := quantities.fault(value):
                wrong = True
                yield faults.invalid(f"{at}.{part}[{name}]", value, why)
    if kind == "Pod":
        for part in ("default", "defaultRequest"):
            if limit.get(part):
                yield faults.forbidden(f"{at}.{part}", "may not be specified when `type` is 'Pod'")
    if kind == "PersistentVolumeClaim" and not any("storage" in (limit.get(part) or {}) for part in ("min", "max")):
        yield faults.required(f"{at}.limits", "either minimum or maximum storage value is required, but neither was provided")
    names = sorted({name for part in (*_PARTS, "maxLimitRequestRatio") for name in limit.get(part) or {}})
    for name in () if wrong else names:
        yield from _order_faults(limit, at, name)


# Which bound must not be greater than which, where what is wrong is told, and in which words.
_ORDER = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value {} is greater than max value {}"),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _order_faults(limit: Obj, at: str, name: str) -> Iterator[Cause]:
    def value(part: str) -> Any:
        return (limit.get(part) or {}).get(name)

    for low, high, place, shown, words in _ORDER:
        least, most = value(low), value(high)
        if least is not None and most is not None and quantities.parse(least) > quantities.parse(most):
            yield faults.invalid(f"{at}.{place}[{name}]", str(value(shown)), words.format(least, most))
    ratio = value("maxLimitRequestRatio")
    if ratio is not None and quantities.parse(ratio) < 1:
        told = quantities.render(quantities.parse(ratio))
        yield faults.invalid(f"{at}.maxLimitRequestRatio[{name}]", told, f"ratio {told} is less than 1")
    least, most = value("min"), value("max")
    if ratio is not None and least is not None and most is not None and quantities.parse(least):
        bound = quantities.parse(most) / quantities.parse(least)
        if quantities.parse(ratio) > bound:
            told, why = quantities.render(quantities.parse(ratio)), f"is greater than max/min = {float(bound):f}"
            yield faults.invalid(f"{at}.maxLimitRequestRatio[{name}]", told, f"ratio {told} {why}")


LIMIT_RANGE = Kind(
    "LimitRange",
    "limitranges",
    short_names=("limits",),
    schema=CoreSchema("LimitRange"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp"), description="When it was created.")
    ),
)
