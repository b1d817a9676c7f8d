"""PriorityClass, with Kubernetes' defaults and rules."""

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

_HIGHEST = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_PREEMPTIONS = ("PreemptLowerPriority", "Never")


def _default(class_: Obj) -> None:
    class_.setdefault("value", 0)
    class_["preemptionPolicy"] = class_.get("preemptionPolicy") or "PreemptLowerPriority"


def _validate(class_: Obj, old: Obj | None) -> list[Cause]:
    found: list[Cause] = []
    name, value = class_["metadata"]["name"], class_["value"]
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value:
            words = "priority class names with 'system-' prefix are reserved for system use only. error: "
            found.append(faults.forbidden("metadata.name", f"{words}{name} is not a known system priority class"))
    elif value > _HIGHEST:
        found.append(faults.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}"))
    found += faults.one_of(class_, "preemptionPolicy", "", _PREEMPTIONS)
    if old is not None and old.get("value") != value:
        found.append(faults.forbidden("value", "may not be changed in an update."))
    if old is not None and old.get("preemptionPolicy") != class_.get("preemptionPolicy"):
        found.append(faults.invalid("preemptionPolicy", class_.get("preemptionPolicy"), "field is immutable"))
    return found


PRIORITY_CLASS = Kind(
    "PriorityClass",
    "priorityclasses",
    group="scheduling.k8s.io",
    namespaced=False,
    short_names=("pc",),
    counted=True,
    schema=CoreSchema("PriorityClass"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Value", lambda obj: obj.get("value", 0), type="integer", description="The priority."),
        Column(
            "Global-Default", lambda obj: bool(obj.get("globalDefault")), type="boolean", description="Whether others have it."
        ),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp"), type="date", description="When it was created."),
        Column("PreemptionPolicy", lambda obj: obj.get("preemptionPolicy"), description="Whether it displaces others."),
    ),
)
