"""What all that keeps Pods running asks of them: how they do, which go first; and what a new one is made of.

Plain functions of what was seen. The order of deletion is Kubernetes'
(https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from kedge.kube import conditions
from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import annotations_of, owner_reference
from kedge.kube.names import suffix_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
LEAST_AGE = 10.0
"""Seconds: a Pod that ends as soon as it is made is made anew no more often."""
_LONGEST_PREFIX = 58
_FORGIVEN = 600.0  # seconds
_LONGEST_PAUSE = 300.0
_EPOCH = datetime.fromtimestamp(0, UTC)
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def ready_since(pod: Obj) -> datetime | None:
    """When a Pod became ready; ``None`` when it is not."""
    found = conditions.find(pod, "Ready")
    if found is None or found.get("status") != "True":
        return None
    text = found.get("lastTransitionTime")
    return parse_timestamp(text) if isinstance(text, str) else _EPOCH


def available_in(pod: Obj, least: int, now: datetime) -> float | None:
    """Seconds until a Pod has been ready for long enough.

    Args:
        pod: The Pod.
        least: ``minReadySeconds``.
        now: The time.

    Returns:
        0 when it has been; ``None`` when it is not ready.
    """
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=least) - now).total_seconds()) if least else 0.0


def soonest(pods: Iterable[Obj], least: int, now: datetime) -> float | None:
    """Seconds until the next Pod of some becomes available by having been ready; ``None`` when none is on its way."""
    waits = [left for pod in pods if (left := available_in(pod, least, now))]
    return min(waits, default=None)


def pause_after(pods: Iterable[Obj], now: datetime) -> float:
    """Seconds to wait before another Pod is made, because the last ones ended as soon as they were made.

    One is replaced at once; with each further one the pause doubles, up to five minutes. Those that are older than ten minutes
    are forgiven, as the node does with containers.

    Args:
        pods: Those of one owner.
        now: The time.
    """
    made = [_created(pod) for pod in pods if (pod.get("status") or {}).get("phase") == "Failed"]
    quick = [moment for moment in made if (now - moment).total_seconds() < _FORGIVEN]
    if len(quick) <= 1:
        return 0.0
    pause = min(2.0 ** min(len(quick), 16), _LONGEST_PAUSE)
    return max(0.0, (max(quick) + timedelta(seconds=pause) - now).total_seconds())


def younger(pod: Obj, seconds: float, now: datetime) -> float:
    """Seconds until a Pod is of an age; 0 when it is.

    Args:
        pod: The Pod.
        seconds: That age.
        now: The time.
    """
    return max(0.0, (_created(pod) + timedelta(seconds=seconds) - now).total_seconds())


def deletion_order(pods: Iterable[Obj]) -> list[Obj]:
    """Pods in the order in which they are given up.

    First those that are bound to no node, then those that are pending, then those not ready, those of the lower deletion cost,
    those whose node has more of them, those ready for less time, those that were restarted more often, and the newest.
    """
    found = list(pods)
    crowd: dict[str, int] = {}
    for pod in found:
        node = pod["spec"].get("nodeName") or ""
        crowd[node] = crowd.get(node, 0) + 1

    def rank(pod: Obj) -> tuple[float | str, ...]:
        node = pod["spec"].get("nodeName") or ""
        status = pod.get("status") or {}
        since = ready_since(pod)
        restarts = max((each.get("restartCount") or 0 for each in status.get("containerStatuses") or ()), default=0)
        return (
            bool(node),
            _PHASES.get(status.get("phase") or "", 1),
            since is not None,
            _cost(pod),
            -crowd[node],
            -(since or _EPOCH).timestamp(),
            -restarts,
            -_created(pod).timestamp(),
            pod["metadata"]["name"],
        )

    return sorted(found, key=rank)


def _cost(pod: Obj) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST) or 0)
    except ValueError:
        return 0


def _created(obj: Obj) -> datetime:
    text = obj["metadata"].get("creationTimestamp")
    return parse_timestamp(text) if text else _EPOCH


def by_age(objects: Iterable[Obj]) -> list[Obj]:
    """Objects, the oldest first; of equal age by their names."""
    return sorted(objects, key=lambda obj: (_created(obj), obj["metadata"]["name"]))


def new_names(owner: Obj, taken: Iterable[str], count: int) -> list[str]:
    """Names for new Pods of an owner.

    They follow from what the owner was when it was looked at: who plans the same again, because it was stopped or saw too little,
    names the same Pods, and makes none twice.

    Args:
        owner: As it was observed, with its ``resourceVersion``.
        taken: Names that are in use.
        count: How many.
    """
    meta, used = owner["metadata"], set(taken)
    names, number = list[str](), 0
    while len(names) < count:
        text = f"{meta['uid']}/{meta.get('resourceVersion')}/{number}"
        name = f"{meta['name']}-"[:_LONGEST_PREFIX] + suffix_of(text)
        number += 1
        if name not in used:
            used.add(name)
            names.append(name)
    return names


def new_pod(kind: Kind, owner: Obj, template: Obj, name: str) -> Obj:
    """A Pod made of a template.

    Args:
        kind: The owner's kind.
        owner: Who owns it.
        template: The PodTemplateSpec.
        name: The Pod's name.
    """
    meta, given = owner["metadata"], template.get("metadata") or {}
    made: Obj = {"name": name, "generateName": f"{meta['name']}-", "namespace": meta["namespace"]}
    made |= {key: given[key] for key in ("labels", "annotations", "finalizers") if given.get(key)}
    made["ownerReferences"] = [owner_reference(kind, owner)]
    return {"metadata": made, "spec": template["spec"]}


def counted(status: Obj, always: Sequence[str] = ()) -> Obj:
    """A status without its zeros, as Kubernetes writes most; those of ``always`` are told."""
    return {key: value for key, value in status.items() if value or key in always}
