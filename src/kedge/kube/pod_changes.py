"""What of a Pod's spec may change once it is there: little, and that in one direction."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj

_MAY = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
    "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
# A node is set once, by the scheduler: here its write is one like all others. The account's old name follows the other one, and
# Pods of earlier versions do not have it.
_CHECKED = frozenset(
    {"activeDeadlineSeconds", "tolerations", "schedulingGates", "containers", "initContainers", "serviceAccount"}
)


def change_faults(new: Obj, old: Obj) -> Iterator[Cause]:
    """What of a Pod's spec was changed and may not be.

    Args:
        new: The spec that is asked for.
        old: The one that is there.
    """
    for key in ("containers", "initContainers"):
        if len(new.get(key) or ()) != len(old.get(key) or ()):
            yield faults.forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            return
    yield from _deadline_faults(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    yield from _toleration_faults(new.get("tolerations") or [], old.get("tolerations") or [])
    yield from _gate_faults(new, old)
    changed = [key for key in sorted({*new, *old} - _CHECKED) if (new.get(key) or None) != (old.get(key) or None)]
    changed += [key for key in ("containers", "initContainers") if _without_image(new, key) != _without_image(old, key)]
    if old.get("schedulingGates"):
        changed = [key for key in changed if key != "nodeSelector"]
        yield from _selector_faults(new.get("nodeSelector") or {}, old.get("nodeSelector") or {})
    if not old.get("nodeName") and "nodeName" in changed:
        changed.remove("nodeName")
    if changed:
        # A real API server ends with Go's notation of both; which fields they are says the same.
        yield faults.forbidden("spec", f"pod updates may not change fields other than {_MAY}\nchanged: {', '.join(changed)}")


def _without_image(spec: Obj, key: str) -> list[Obj]:
    return [{name: each for name, each in container.items() if name != "image"} for _, container in faults.objects(spec.get(key))]


def _deadline_faults(new: Any, old: Any) -> Iterator[Cause]:
    if new is None and old is not None:
        yield faults.invalid("spec.activeDeadlineSeconds", None, "must not update from a positive integer to nil value")
    elif isinstance(new, int) and isinstance(old, int) and new > old:
        yield faults.invalid("spec.activeDeadlineSeconds", new, "must be less than or equal to previous value")


def _toleration_faults(new: list[Obj], old: list[Obj]) -> Iterator[Cause]:
    def lasting(toleration: Obj) -> Obj:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    kept = [lasting(each) for each in new]
    if any(lasting(each) not in kept for each in old):
        yield faults.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def _gate_faults(new: Obj, old: Obj) -> Iterator[Cause]:
    known = {gate.get("name") for _, gate in faults.objects(old.get("schedulingGates"))}
    for index, gate in faults.objects(new.get("schedulingGates")):
        if (name := gate.get("name")) not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{name}'"
            yield faults.forbidden(f"spec.schedulingGates[{index}].name", why)


def _selector_faults(new: Obj, old: Obj) -> Iterator[Cause]:
    """A Pod that waits at a gate may be told more narrowly where it shall run."""
    if any(new.get(key) != value for key, value in old.items()):
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        yield faults.invalid("spec.nodeSelector", new, why)
