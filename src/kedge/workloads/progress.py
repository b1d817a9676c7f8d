"""The status of a Deployment: its counts, and what is told of its progress.

Its conditions ``Available``, ``Progressing`` and ``ReplicaFailure`` have Kubernetes' reasons and messages: clients wait for them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kedge.kube.clock import parse_timestamp, timestamp
from kedge.kube.kinds import Obj
from kedge.workloads import replicas
from kedge.workloads.rollout import Rollout
from kedge.workloads.shares import bounds

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_AVAILABLE, UPDATED, TIMED_OUT = "NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"
FOUND, CREATED = "FoundNewReplicaSet", "NewReplicaSetCreated"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE = (1 << 31) - 1
"""``progressDeadlineSeconds`` of those who wait for ever."""
_COUNTS = ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")


def counts(deployment: Obj, sets: Iterable[Obj], new: Obj | None) -> Obj:
    """The numbers of a status.

    Args:
        deployment: The Deployment.
        sets: Its ReplicaSets, as they were observed.
        new: That of its template.
    """
    found = [each.get("status") or {} for each in sets]
    made: Obj = {key: sum(each.get(key) or 0 for each in found) for key in _COUNTS}
    made["observedGeneration"] = deployment["metadata"]["generation"]
    made["updatedReplicas"] = ((new or {}).get("status") or {}).get("replicas") or 0
    made["unavailableReplicas"] = max(0, made["replicas"] - made["availableReplicas"])
    made["collisionCount"] = (deployment.get("status") or {}).get("collisionCount") or 0
    return replicas.counted(made, ("terminatingReplicas",))


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Whether a status says that all there is, is of the newest template and available."""
    wanted = deployment["spec"]["replicas"]
    numbers = (status.get(key) or 0 for key in ("updatedReplicas", "replicas", "availableReplicas"))
    seen = (status.get("observedGeneration") or 0) >= deployment["metadata"]["generation"]
    return seen and all(number == wanted for number in numbers)


class Conditions:
    """The conditions of a Deployment, in one pass.

    Args:
        deployment: The Deployment, with its status.
        now: The time.
    """

    def __init__(self, deployment: Obj, now: datetime) -> None:
        self._deployment = deployment
        self._now = now
        self._items = list[Obj]((deployment.get("status") or {}).get("conditions") or ())

    def get(self, kind: str) -> Obj | None:
        """The condition of a type."""
        return next((each for each in self._items if each["type"] == kind), None)

    def put(self, kind: str, status: str, why: tuple[str, str], *, moved: bool = False) -> None:
        """Set a condition; one of the same status and reason stays as it is, unless it has ``moved``: something went on.

        Args:
            kind: Its type.
            status: ``True``, ``False`` or ``Unknown``.
            why: The reason in one word, and the message.
            moved: Whether to set it anew with the time of now.
        """
        before, moment = self.get(kind), timestamp(self._now)
        same = before is not None and before["status"] == status
        if before is not None and same and before.get("reason") == why[0] and not moved:
            return
        made: Obj = {"type": kind, "status": status, "reason": why[0], "message": why[1]}
        made |= {"lastUpdateTime": moment, "lastTransitionTime": before["lastTransitionTime"] if before and same else moment}
        self._items = [*(each for each in self._items if each["type"] != kind), made]

    def drop(self, kind: str) -> None:
        """Have no such condition."""
        self._items = [each for each in self._items if each["type"] != kind]

    def items(self) -> list[Obj]:
        """All."""
        return list(self._items)

    # -- what they say ------------------------------------------------------------------------------------------------

    def availability(self, status: Obj) -> None:
        """Whether enough Pods are available."""
        least = self._deployment["spec"]["replicas"] - bounds(self._deployment)[1]
        if (status.get("availableReplicas") or 0) >= least:
            self.put(AVAILABLE, "True", ("MinimumReplicasAvailable", "Deployment has minimum availability."))
        else:
            why = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            self.put(AVAILABLE, "False", why)

    def pause(self) -> None:
        """Whether it is paused, or no longer is: meanwhile no deadline runs."""
        known = self.get(PROGRESSING)
        if not has_deadline(self._deployment) or (known is not None and known.get("reason") == TIMED_OUT):
            return
        was = known is not None and known.get("reason") == PAUSED
        if self._deployment["spec"].get("paused"):
            if not was:
                self.put(PROGRESSING, "Unknown", (PAUSED, "Deployment is paused"))
        elif was:
            self.put(PROGRESSING, "Unknown", (RESUMED, "Deployment is resumed"))

    def newest(self, rollout: Rollout) -> None:
        """That the newest ReplicaSet was made, or found."""
        if not has_deadline(self._deployment) or rollout.new is None:
            return
        name = rollout.new["metadata"]["name"]
        if rollout.created:
            self.put(PROGRESSING, "True", (CREATED, f'Created new replica set "{name}"'))
        elif self.get(PROGRESSING) is None:
            self.put(PROGRESSING, "True", (FOUND, f'Found new replica set "{name}"'))

    def progress(self, status: Obj, new: Obj | None) -> None:
        """Whether it goes on, is done, or has not gone on for too long."""
        if not has_deadline(self._deployment):
            self.drop(PROGRESSING)
            return
        known, before = self.get(PROGRESSING), self._deployment.get("status") or {}
        done = known is not None and known.get("reason") == NEW_AVAILABLE
        if done and (status.get("replicas") or 0) == (status.get("updatedReplicas") or 0):
            return
        name = (new or self._deployment)["metadata"]["name"]
        what = f'ReplicaSet "{name}"' if new is not None else f'Deployment "{name}"'
        if is_complete(self._deployment, status):
            self.put(PROGRESSING, "True", (NEW_AVAILABLE, f"{what} has successfully progressed."))
        elif _went_on(before, status):
            self.put(PROGRESSING, "True", (UPDATED, f"{what} is progressing."), moved=True)
        elif self.is_late():
            self.put(PROGRESSING, "False", (TIMED_OUT, f"{what} has timed out progressing."))

    def due(self) -> datetime | None:
        """When it is late; ``None`` when no deadline runs."""
        known = self.get(PROGRESSING)
        if not has_deadline(self._deployment) or known is None or known.get("reason") in {NEW_AVAILABLE, TIMED_OUT, PAUSED}:
            return None
        seconds = self._deployment["spec"]["progressDeadlineSeconds"]
        return parse_timestamp(known.get("lastUpdateTime") or known["lastTransitionTime"]) + timedelta(seconds=seconds)

    def is_late(self) -> bool:
        """Whether nothing went on for longer than the deadline."""
        due = self.due()
        return due is not None and due < self._now

    def failure(self, sets: Sequence[Obj | None]) -> None:
        """That Pods of a ReplicaSet cannot be made; the first of these that says so."""
        for each in sets:
            for item in ((each or {}).get("status") or {}).get("conditions") or ():
                if item["type"] == FAILURE and item["status"] == "True":
                    self.put(FAILURE, "True", (item.get("reason") or "", item.get("message") or ""))
                    return
        self.drop(FAILURE)


def has_deadline(deployment: Obj) -> bool:
    """Whether a Deployment can be late."""
    return deployment["spec"]["progressDeadlineSeconds"] != NO_DEADLINE


def _went_on(before: Obj, status: Obj) -> bool:
    old_before = (before.get("replicas") or 0) - (before.get("updatedReplicas") or 0)
    old_now = (status.get("replicas") or 0) - (status.get("updatedReplicas") or 0)
    rises = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_now < old_before or any((status.get(key) or 0) > (before.get(key) or 0) for key in rises)
