"""PodDisruptionBudget, with Kubernetes' rules, and whom it guards."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from kedge.errors import Cause
from kedge.kube import conditions, faults, selectors
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

_UNHEALTHY = ("AlwaysAllow", "IfHealthyBudget")


def _default(budget: Obj) -> None:
    budget.setdefault("spec", {})
    none = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    budget["status"] = {**none, **(budget.get("status") or {})}


def _validate(budget: Obj, old: Obj | None) -> list[Cause]:
    del old
    return list(_faults(budget.get("spec") or {}))


def _faults(spec: Obj) -> Iterator[Cause]:
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        words = (("MinAvailable", "minAvailable"), ("Selector", "selector"), ("MaxUnavailable", "maxUnavailable"))
        shown = {name: spec.get(key) for name, key in (*words, ("UnhealthyPodEvictionPolicy", "unhealthyPodEvictionPolicy"))}
        yield faults.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
    for key, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            yield from faults.number_or_percent(f"spec.{key}", value)
    yield from faults.selector("spec.selector", spec.get("selector"))
    yield from faults.one_of(spec, "unhealthyPodEvictionPolicy", "spec", _UNHEALTHY)


def is_guarded(pod: Obj, budget: Obj) -> bool:
    """Whether a budget's selector matches a Pod: an empty one matches all, none at all matches none."""
    wanted = (budget.get("spec") or {}).get("selector")
    if wanted is None:
        return False
    return selectors.label_predicate(selectors.from_label_selector(wanted))(pod)


def disruption_allowed(status: Obj, now: datetime) -> list[Obj]:
    """The conditions of a budget as its numbers have them."""
    some = status["disruptionsAllowed"] > 0
    reason = "SufficientPods" if some else "InsufficientPods"
    made = conditions.condition("DisruptionAllowed", some, reason, now=now, generation=status.get("observedGeneration", 0))
    return conditions.put(status.get("conditions") or [], made)


def _bound(key: str) -> Any:
    return lambda budget: str(found) if (found := (budget.get("spec") or {}).get(key)) is not None else "N/A"


def percentage(value: Any, total: int) -> int:
    """A number, or so many of a total, rounded up.

    Examples:
        >>> percentage("50%", 3), percentage(2, 3)
        (2, 2)
    """
    if isinstance(value, int):
        return value
    return int((Decimal(str(value)[:-1]) * total / 100).to_integral_value("ROUND_CEILING"))


POD_DISRUPTION_BUDGET = Kind(
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    group="policy",
    short_names=("pdb",),
    subresources=("status",),
    schema=CoreSchema("PodDisruptionBudget"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Min Available", _bound("minAvailable"), description="How many must be there."),
        Column("Max Unavailable", _bound("maxUnavailable"), description="How many may be missing."),
        Column(
            "Allowed Disruptions",
            lambda budget: (budget.get("status") or {}).get("disruptionsAllowed", 0),
            type="integer",
            description="How many may be evicted now.",
        ),
    ),
)
