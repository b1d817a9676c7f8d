"""The numbers of a rolling update: how many Pods may be there and how many may be away; and how a new size is shared out.

Rounding and order are Kubernetes' (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/, "Rolling Update
Deployment" and "Proportional scaling").
"""

import math
from collections.abc import Sequence
from typing import Any

from kedge.kube.apps_rules import ROLLING
from kedge.kube.kinds import Obj
from kedge.kube.metadata import annotations_of
from kedge.workloads.replicas import by_age

DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"


def part_of(share: Any, whole: int, *, up: bool) -> int:
    """A share as a number.

    Args:
        share: A number, or a percentage such as ``25%``.
        whole: Of what.
        up: Whether a fraction is rounded up.

    Examples:
        >>> part_of("25%", 10, up=True), part_of("25%", 10, up=False), part_of(3, 10, up=True)
        (3, 2, 3)
    """
    if not isinstance(share, str):
        return int(share)
    exact = int(share.rstrip("%")) * whole
    return -(-exact // 100) if up else exact // 100


def bounds(deployment: Obj) -> tuple[int, int]:
    """How many Pods may be there above those wanted, and how many of them may be away.

    A Deployment that is not rolled has (0, 0): what it replaces goes first.
    """
    spec = deployment["spec"]
    if spec["strategy"]["type"] != ROLLING:
        return 0, 0
    rolling, wanted = spec["strategy"]["rollingUpdate"], spec["replicas"]
    surge = part_of(rolling["maxSurge"], wanted, up=True)
    away = part_of(rolling["maxUnavailable"], wanted, up=False)
    if not surge and not away:
        away = 1  # both were rounded to nothing, and nothing would ever move
    return surge, min(away, wanted)


def most(deployment: Obj) -> int:
    """How many Pods may be there at once."""
    return deployment["spec"]["replicas"] + bounds(deployment)[0]


def new_size(deployment: Obj, others: Sequence[Obj], current: int) -> int:
    """How large the ReplicaSet of the newest template becomes next.

    Args:
        deployment: The Deployment.
        others: Its other ReplicaSets.
        current: How large it is.

    Examples:
        >>> rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        >>> new_size({"spec": {"replicas": 4, "strategy": rolling}}, [{"spec": {"replicas": 4}}], 0)
        1
    """
    wanted = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] != ROLLING:
        return wanted
    room = most(deployment) - current - total(others)
    return current if room <= 0 else current + min(room, wanted - current)


def total(sets: Sequence[Obj]) -> int:
    """The Pods that ReplicaSets want, together."""
    return sum(each["spec"]["replicas"] for each in sets)


def available(sets: Sequence[Obj]) -> int:
    """The Pods of ReplicaSets that are available, together."""
    return sum((each.get("status") or {}).get("availableReplicas") or 0 for each in sets)


def shrunk(deployment: Obj, old: Sequence[Obj], new: Obj) -> dict[str, int]:
    """How large the ReplicaSets of older templates become next: first what is not healthy goes, then as much as may be away.

    Args:
        deployment: The Deployment.
        old: Its ReplicaSets of other templates.
        new: That of the newest.

    Returns:
        The new size of each that shrinks, by its name.
    """
    sizes = {each["metadata"]["name"]: each["spec"]["replicas"] for each in old}
    least = deployment["spec"]["replicas"] - bounds(deployment)[1]
    room = total([*old, new]) - least - (new["spec"]["replicas"] - available([new]))
    if room <= 0:
        return {}
    ordered = by_age(each for each in old if each["spec"]["replicas"])
    for each in ordered:
        name = each["metadata"]["name"]
        sick = max(0, sizes[name] - available([each]))
        gone = min(room, sick)
        sizes[name] -= gone
        room -= gone
    spare = available([*old, new]) - least
    for each in ordered:
        name = each["metadata"]["name"]
        gone = max(0, min(spare, sizes[name]))
        sizes[name] -= gone
        spare -= gone
    return {name: size for each in old if (size := sizes[name := each["metadata"]["name"]]) != each["spec"]["replicas"]}


def proportional(deployment: Obj, sets: Sequence[Obj]) -> dict[str, int]:
    """How large ReplicaSets become when a Deployment is scaled while it is rolled: each grows or shrinks by its share.

    Args:
        deployment: The Deployment.
        sets: Its ReplicaSets that have Pods.

    Returns:
        The size of each, by its name.
    """
    wanted = deployment["spec"]["replicas"]
    change = (most(deployment) if wanted else 0) - total(sets)
    # The newest of equal size grow first, the oldest shrink first.
    aged = by_age(sets)
    ordered = sorted(aged[::-1] if change > 0 else aged, key=lambda each: -each["spec"]["replicas"])
    sizes, done = dict[str, int](), 0
    for each in ordered:
        part, left = _share(deployment, each), change - done
        part = 0 if not change else min(part, left) if change > 0 else max(part, left)
        sizes[each["metadata"]["name"]] = each["spec"]["replicas"] + part
        done += part
    if ordered and change != done:
        first = ordered[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + change - done)
    return sizes


def _share(deployment: Obj, each: Obj) -> int:
    size = each["spec"]["replicas"]
    if not deployment["spec"]["replicas"]:
        return -size
    before = annotations_of(each).get(MOST) or ""
    base = int(before) if before.isdecimal() else 0
    base = base or (deployment.get("status") or {}).get("replicas") or 0
    return math.floor(size * most(deployment) / base + 0.5) - size if base and size else 0
