"""Deployments: a ReplicaSet for each template, of which the newest replaces the others, all at once or a few Pods at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Delete, Plan, Update, set_status
from kedge.kube.apps import DEPLOYMENT, REPLICA_SET
from kedge.kube.apps_rules import RECREATE
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, controller, is_deleting, uid_of
from kedge.kube.pods import is_over
from kedge.kube.selectors import selector_text
from kedge.workloads import claiming, replicas, shares
from kedge.workloads.progress import PROGRESSING, Conditions, counts, is_complete
from kedge.workloads.rollout import Rollout

_LOOK_AGAIN = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        deployment: The Deployment.
        replica_sets: The ReplicaSets of its namespace.
        pods: The Pods that its selector matches; only looked up where the old must be gone before the new come.
    """

    deployment: Obj
    replica_sets: tuple[Obj, ...]
    pods: tuple[Obj, ...] = ()


class Deployments:
    """Reconciles one Deployment."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Deployment and the ReplicaSets of its namespace."""
        if (found := await get_or_none(reader, DEPLOYMENT, key.name, key.namespace)) is None:
            return None
        sets = (await reader.list(REPLICA_SET, key.namespace)).items
        if found["spec"]["strategy"]["type"] != RECREATE:
            return Seen(found, tuple(sets))
        pods = (await reader.list(POD, key.namespace, labels=selector_text(found["spec"]["selector"]))).items
        return Seen(found, tuple(sets), tuple(pods))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide the size of each ReplicaSet, and what the status tells."""
        deployment = seen.deployment
        claimed = claiming.claim(DEPLOYMENT, deployment, seen.replica_sets, of=REPLICA_SET)
        taken = [each["metadata"]["name"] for each in seen.replica_sets]
        rollout, conditions = Rollout(deployment, claimed.mine, taken, now), Conditions(deployment, now)
        rolls = False
        if not is_deleting(deployment):
            conditions.pause()
            rollout.number(create=False)
            rolls = not deployment["spec"].get("paused") and not rollout.scaled
            if rolls:
                _roll(rollout, seen)
                conditions.newest(rollout)
            else:
                _resize(rollout)
        status = counts(deployment, claimed.mine, rollout.seen_new)
        if rolls:
            conditions.progress(status, rollout.new)
            conditions.failure([rollout.seen_new, *rollout.seen])
        conditions.availability(status)
        status["conditions"] = conditions.items()
        if rollout.collides:
            status["collisionCount"] = (status.get("collisionCount") or 0) + 1
        changes = [*claimed.changes, *rollout.changes(), *_history(rollout, status)]
        changes += _written(deployment, rollout.deployment, status)
        due = conditions.due()
        again = None if due is None or is_deleting(deployment) else (due - now).total_seconds() + _LOOK_AGAIN
        if rolls and rollout.new is None:
            again = _LOOK_AGAIN
        return Plan(tuple(changes), requeue_after=again)

    def failed(self, seen: Seen, message: str, now: datetime) -> Plan:
        """What is told when a ReplicaSet could not be made."""
        conditions = Conditions(seen.deployment, now)
        conditions.put(PROGRESSING, "False", ("ReplicaSetCreateError", f"Failed to create new replica set: {message}"))
        status = {**(seen.deployment.get("status") or {}), "conditions": conditions.items()}
        return Plan((set_status(DEPLOYMENT, seen.deployment, status),))


def _written(before: Obj, after: Obj, status: Obj) -> Iterator[Change]:
    if annotations_of(before) != annotations_of(after):
        yield Update(DEPLOYMENT, before, after)
    yield set_status(DEPLOYMENT, before, status)


def _history(rollout: Rollout, status: Obj) -> Iterator[Change]:
    deployment = rollout.deployment
    if deployment["spec"].get("paused") or is_complete(deployment, status):
        for each in rollout.superfluous():
            yield Delete(REPLICA_SET, each)


def _roll(rollout: Rollout, seen: Seen) -> None:
    """Go a step towards the newest template."""
    deployment = rollout.deployment
    if deployment["spec"]["strategy"]["type"] == RECREATE:
        _recreate(rollout, seen)
        return
    rollout.number(create=True)
    new = rollout.new
    if new is None or rollout.created:
        return
    wanted, size = deployment["spec"]["replicas"], new["spec"]["replicas"]
    size = wanted if size > wanted else shares.new_size(deployment, rollout.old, size)
    if rollout.scale(new, size):
        return
    sizes = shares.shrunk(deployment, rollout.old, new)
    for each in rollout.old:
        if (name := each["metadata"]["name"]) in sizes:
            rollout.scale(each, sizes[name])


def _recreate(rollout: Rollout, seen: Seen) -> None:
    alive = [each for each in rollout.old if each["spec"]["replicas"]]
    for each in alive:
        rollout.scale(each, 0)
    new_uid = uid_of(rollout.new or {})
    left = [pod for pod in seen.pods if not is_over(pod) and (holder := controller(pod)) and holder["uid"] != new_uid]
    ours = {uid_of(each) for each in rollout.old}
    if alive or any((controller(pod) or {}).get("uid") in ours for pod in left):
        return
    rollout.number(create=True)
    if rollout.new is not None and not rollout.created:
        rollout.scale(rollout.new, rollout.deployment["spec"]["replicas"])


def _resize(rollout: Rollout) -> None:
    """Give the size that a Deployment was given to its ReplicaSets, without going on with anything."""
    deployment = rollout.deployment
    wanted = deployment["spec"]["replicas"]
    active = [each for each in rollout.sets if each["spec"]["replicas"]]
    new = rollout.new
    if len(active) <= 1:
        only = active[0] if active else new or next(iter(replicas.by_age(rollout.old)[::-1]), None)
        if only is not None:
            rollout.scale(only, wanted)
    elif new is not None and _is_saturated(deployment, new):
        for each in rollout.old:
            if each["spec"]["replicas"]:
                rollout.scale(each, 0)
    elif deployment["spec"]["strategy"]["type"] != RECREATE:
        sizes = shares.proportional(deployment, active)
        for each in active:
            rollout.scale(each, sizes[each["metadata"]["name"]])
    else:
        for each in active:
            rollout.scale(each, each["spec"]["replicas"])


def _is_saturated(deployment: Obj, new: Obj) -> bool:
    wanted = deployment["spec"]["replicas"]
    noted = annotations_of(new).get(shares.DESIRED)
    return new["spec"]["replicas"] == wanted and noted == str(wanted) and shares.available([new]) == wanted
