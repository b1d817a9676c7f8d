"""Conditions: what a status says about one aspect of an object."""

from collections.abc import Sequence
from datetime import datetime

from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj


def condition(  # the fields of the type, in their usual order
    type: str,  # noqa: A002  # the API's own word
    status: bool | None,  # noqa: FBT001  # what the field is: True, False or Unknown
    reason: str,
    message: str = "",
    *,
    now: datetime,
    generation: int | None = None,
) -> Obj:
    """Make one condition.

    Args:
        type: The aspect, such as ``Ready``.
        status: ``None`` is Unknown.
        reason: One CamelCase word for machines.
        message: A sentence for people.
        now: When it was observed.
        generation: ``metadata.generation`` of the object that it was observed on.
    """
    made: Obj = {
        "type": type,
        "status": "Unknown" if status is None else str(bool(status)),
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now),
    }
    if generation is not None:
        made["observedGeneration"] = generation
    return made


def find(obj: Obj, type: str) -> Obj | None:  # noqa: A002  # the API's own word
    """The condition of a type in an object's status, or ``None``."""
    for item in (obj.get("status") or {}).get("conditions") or ():
        if item.get("type") == type:
            return item
    return None


def is_true(obj: Obj, type: str) -> bool:  # noqa: A002  # the API's own word
    """Whether the condition of a type is there and True.

    Examples:
        >>> is_true({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Ready")
        True
    """
    found = find(obj, type)
    return found is not None and found.get("status") == "True"


def put(conditions: Sequence[Obj], new: Obj) -> list[Obj]:
    """The list with one condition set. ``lastTransitionTime`` moves only when its status does, so that a repeat changes nothing.

    Examples:
        >>> old = {"type": "Ready", "status": "True", "lastTransitionTime": "then"}
        >>> put([old], {"type": "Ready", "status": "True", "lastTransitionTime": "now"}) == [old]
        True
    """
    result = list[Obj]()
    placed = False
    for item in conditions:
        if item.get("type") != new["type"]:
            result.append(item)
            continue
        placed = True
        same = item.get("status") == new.get("status") and "lastTransitionTime" in item
        result.append({**new, "lastTransitionTime": item["lastTransitionTime"]} if same else new)
    return result if placed else [*result, new]
