"""ReplicaSets: as many Pods of a template as are wanted, no more and no fewer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from kedge import errors
from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, set_status
from kedge.kube.apps import REPLICA_SET
from kedge.kube.conditions import condition
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, key_of, labels_of
from kedge.kube.pods import is_active, is_over, is_ready
from kedge.kube.selectors import of_owner, selector_text
from kedge.workloads import claiming, replicas
from kedge.workloads.told import told

FAILURE = "ReplicaFailure"
_BURST = 100  # Pods made or deleted in one pass, so that a large set does not hold the event loop for long


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        replica_set: The ReplicaSet.
        pods: The Pods that its selector matches, and those that name it as their controller.
    """

    replica_set: Obj
    pods: tuple[Obj, ...]


class ReplicaSets:
    """Reconciles one ReplicaSet.

    Args:
        owned: The keys of the Pods that name a uid as their controller, as far as is known.
    """

    kind, by = REPLICA_SET, "replicaset-controller"

    def __init__(self, owned: Callable[[str], Iterable[Key]]) -> None:
        self._owned = owned

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a ReplicaSet and its Pods."""
        if (found := await get_or_none(reader, self.kind, key.name, key.namespace)) is None:
            return None
        return Seen(found, tuple(await pods_of(reader, found, self._owned)))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide which Pods are made and which go; the status tells what was seen."""
        owner = seen.replica_set
        claimed = claiming.claim(self.kind, owner, seen.pods, of=POD, fits=is_active)
        active = [pod for pod in claimed.mine if is_active(pod)]
        changes: list[Change] = list(claimed.changes)
        missing = owner["spec"]["replicas"] - len(active)
        pause = replicas.pause_after(claimed.mine, now) if missing > 0 else 0.0
        if not is_deleting(owner):
            if missing > 0 and not pause:
                changes += self._more(owner, [pod["metadata"]["name"] for pod in seen.pods], missing, now)
            elif missing < 0:
                changes += self._fewer(owner, active, -missing, now)
        known: list[Obj] = (owner.get("status") or {}).get("conditions") or []
        conditions = [each for each in known if each.get("type") != FAILURE]
        changes.append(set_status(self.kind, owner, self.status(owner, claimed.mine, conditions, now)))
        least = owner["spec"].get("minReadySeconds") or 0
        again = replicas.soonest(active, least, now)
        if not is_deleting(owner) and (pause or abs(missing) > _BURST):
            again = min(pause, again or pause)
        return Plan(tuple(changes), requeue_after=again)

    def failed(self, seen: Seen, message: str, now: datetime) -> Plan:
        """What is told when Pods could not be made or deleted."""
        owner = seen.replica_set
        mine = claiming.claim(self.kind, owner, seen.pods, of=POD).mine
        known: list[Obj] = (owner.get("status") or {}).get("conditions") or []
        active = sum(1 for pod in mine if is_active(pod))
        reason = "FailedCreate" if active < owner["spec"]["replicas"] else "FailedDelete"
        failure = condition(FAILURE, status=True, reason=reason, message=message, now=now)
        same = next((each for each in known if each.get("type") == FAILURE), None)
        if same is not None and (same.get("reason"), same.get("message")) == (reason, message):
            return Plan((set_status(self.kind, owner, self.status(owner, mine, known, now)),))
        rest = [each for each in known if each.get("type") != FAILURE]
        words = "creating" if reason == "FailedCreate" else "deleting"
        return Plan(
            (
                set_status(self.kind, owner, self.status(owner, mine, [*rest, failure], now)),
                told(self.kind, owner, (reason, f"Error {words}: {message}"), now, by=self.by, warning=True),
            )
        )

    def _more(self, owner: Obj, taken: list[str], count: int, now: datetime) -> Iterable[Change]:
        # One after the other: where the first is refused, the others are not tried.
        for name in replicas.new_names(owner, taken, min(count, _BURST)):
            yield Create(POD, replicas.new_pod(self.kind, owner, owner["spec"]["template"], name))
            yield told(self.kind, owner, ("SuccessfulCreate", f"Created pod: {name}"), now, by=self.by)

    def _fewer(self, owner: Obj, active: list[Obj], count: int, now: datetime) -> Iterable[Change]:
        for pod in replicas.deletion_order(active)[: min(count, _BURST)]:
            yield Delete(POD, pod)
            name = pod["metadata"]["name"]
            yield told(self.kind, owner, ("SuccessfulDelete", f"Deleted pod: {name}"), now, by=self.by)

    def status(self, owner: Obj, mine: Iterable[Obj], conditions: list[Obj], now: datetime) -> Obj:
        """What the status tells."""
        spec, pods = owner["spec"], list(mine)
        active = [pod for pod in pods if is_active(pod)]
        wanted = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        least = spec.get("minReadySeconds") or 0
        status: Obj = {
            "replicas": len(active),
            "fullyLabeledReplicas": sum(1 for pod in active if wanted.items() <= labels_of(pod).items()),
            "readyReplicas": sum(1 for pod in active if is_ready(pod)),
            "availableReplicas": sum(1 for pod in active if replicas.available_in(pod, least, now) == 0.0),
            "terminatingReplicas": sum(1 for pod in pods if is_deleting(pod) and not is_over(pod)),
            "observedGeneration": owner["metadata"]["generation"],
            "conditions": conditions,
        }
        return replicas.counted(status, ("replicas", "terminatingReplicas"))


async def pods_of(reader: Reader, owner: Obj, owned: Callable[[str], Iterable[Key]]) -> list[Obj]:
    """The Pods that an owner's selector matches, and those that name it as their controller.

    Args:
        reader: Where from.
        owner: Has a ``spec.selector``.
        owned: The keys of the Pods that name a uid as their controller, as far as is known.
    """
    namespace = owner["metadata"]["namespace"]
    pods = (await reader.list(POD, namespace, labels=selector_text(of_owner(owner)))).items
    there = {key_of(pod) for pod in pods}
    for key in owned(owner["metadata"]["uid"]):
        if key in there:
            continue
        try:
            pods.append(await reader.get(POD, key.name, key.namespace))
        except errors.NotFound:
            continue
    return pods
