"""StatefulSets: Pods that keep their names, their claims and their order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kedge import errors
from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.kube.apps import CONTROLLER_REVISION, STATEFUL_SET
from kedge.kube.apps_rules import PARALLEL, ROLLING
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting
from kedge.kube.pods import is_over, is_ready
from kedge.workloads import claiming, identities, replicas
from kedge.workloads.identities import revision_of
from kedge.workloads.replicasets import pods_of
from kedge.workloads.revisions import History, claimed, planned, template_of
from kedge.workloads.told import told

_BY = "statefulset-controller"
_LOOK_AGAIN = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        stateful_set: The StatefulSet.
        pods: The Pods that its selector matches, and those that name it as their controller.
        revisions: The ControllerRevisions of its namespace.
        claims: The claims of its Pods that are there, by their names.
    """

    stateful_set: Obj
    pods: tuple[Obj, ...]
    revisions: tuple[Obj, ...] = ()
    claims: Mapping[str, Obj] = field(default_factory=dict[str, Obj])


class StatefulSets:
    """Reconciles one StatefulSet.

    Args:
        owned: The keys of the Pods that name a uid as their controller, as far as is known.
    """

    def __init__(self, owned: Callable[[str], Iterable[Key]]) -> None:
        self._owned = owned

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a StatefulSet, its Pods, their claims, and its history."""
        if (found := await get_or_none(reader, STATEFUL_SET, key.name, key.namespace)) is None:
            return None
        pods = await pods_of(reader, found, self._owned)
        revisions = (await reader.list(CONTROLLER_REVISION, key.namespace)).items
        ordinals = {*identities.wanted(found), *(number for number, _ in identities.by_ordinal(found, pods))}
        claims = dict[str, Obj]()
        for ordinal in sorted(ordinals):
            for claim in identities.claims_of(found, ordinal).values():
                name: str = claim["metadata"]["name"]
                try:
                    claims[name] = await reader.get(PERSISTENT_VOLUME_CLAIM, name, key.namespace)
                except errors.NotFound:
                    continue
        return Seen(found, tuple(pods), tuple(revisions), claims)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide which Pod is made or goes next; the status tells what was seen."""
        owner = seen.stateful_set
        pods = claiming.claim(
            STATEFUL_SET, owner, seen.pods, of=POD, fits=lambda pod: identities.ordinal_of(owner, pod) is not None
        )
        revisions = claimed(STATEFUL_SET, owner, seen.revisions)
        return planned(STATEFUL_SET, owner, pods, revisions, _Pass(seen, pods.mine, revisions[1], now))

    def failed(self, seen: Seen, message: str, now: datetime) -> Plan:
        """What is told when a Pod or a claim could not be made."""
        owner = seen.stateful_set
        pods = claiming.claim(STATEFUL_SET, owner, seen.pods, of=POD).mine
        status = _Pass(seen, pods, claimed(STATEFUL_SET, owner, seen.revisions)[1], now).status()
        why = ("FailedCreate", f"create Pod in StatefulSet {owner['metadata']['name']} failed error: {message}")
        return Plan((set_status(STATEFUL_SET, owner, status), told(STATEFUL_SET, owner, why, now, by=_BY, warning=True)))


class _Pass:
    """What one pass does with the Pods: one thing at a time where they are ordered, all at once where they are not.

    Args:
        seen: What was seen.
        pods: The StatefulSet's Pods.
        history: Its revisions.
        now: The time.

    Attributes:
        again: Seconds until it is to be looked at again although nothing changes.
    """

    def __init__(self, seen: Seen, pods: Iterable[Obj], history: History, now: datetime) -> None:
        self._owner = seen.stateful_set
        self._claims = seen.claims
        self._history = history
        self._now = now
        spec = self._owner["spec"]
        self._least: int = spec.get("minReadySeconds") or 0
        self._ordered = spec["podManagementPolicy"] != PARALLEL
        self._wanted = identities.wanted(self._owner)
        self._found = dict(identities.by_ordinal(self._owner, pods))
        self.again = replicas.soonest(self._found.values(), self._least, now)

    def changes(self) -> Iterator[Change]:
        """Claims are kept, missing Pods made, superfluous ones deleted, and then those of older revisions, from the last on."""
        yield from self._keep()
        blocked = yield from self._fill()
        if blocked:
            return
        blocked = yield from self._shed()
        if not blocked:
            yield from self._renew()

    def _keep(self) -> Iterator[Change]:
        for ordinal, pod in self._found.items():
            for made in identities.claims_of(self._owner, ordinal).values():
                claim = self._claims.get(made["metadata"]["name"])
                if claim is not None:
                    after = identities.kept(self._owner, claim, None if ordinal in self._wanted else pod)
                    yield Update(PERSISTENT_VOLUME_CLAIM, claim, after)

    def _fill(self) -> "Iterator[Change]":
        """Bring forward what shall be; True when the rest has to wait."""
        for ordinal in self._wanted:
            pod = self._found.get(ordinal)
            if pod is None:
                made = list(self._make(ordinal))
                yield from made
                if self._ordered or not made:
                    return True
            elif is_over(pod):
                if left := replicas.younger(pod, replicas.LEAST_AGE, self._now):
                    self.again = left
                elif not is_deleting(pod):
                    yield Delete(POD, pod)
                    what = f"StatefulSet {self._owner['metadata']['namespace']}/{self._owner['metadata']['name']}"
                    yield self._tell("RecreatingTerminatedPod", f"{what} is recreating terminated Pod {pod['metadata']['name']}")
                return True
            elif self._ordered and (is_deleting(pod) or not self._is_available(pod)):
                return True
            else:
                yield Update(POD, pod, identities.identified(self._owner, pod, ordinal))
        return False

    def _make(self, ordinal: int) -> Iterator[Change]:
        owner = self._owner["metadata"]["name"]
        claims = identities.claims_of(self._owner, ordinal)
        known = [self._claims.get(claim["metadata"]["name"]) for claim in claims.values()]
        if any(claim is not None and is_deleting(claim) for claim in known):
            self.again = _LOOK_AGAIN  # the claim of a Pod before it is on its way out
            return
        revision = self._revision_for(ordinal)
        pod = identities.pod_of(self._owner, template_of(revision), revision["metadata"]["name"], ordinal)
        name = pod["metadata"]["name"]
        for claim in claims.values():
            if (at := claim["metadata"]["name"]) not in self._claims:
                yield Create(PERSISTENT_VOLUME_CLAIM, claim)
                yield self._tell("SuccessfulCreate", f"Create Claim {at} Pod {name} in StatefulSet {owner} success")
        yield Create(POD, pod)
        yield self._tell("SuccessfulCreate", f"Create Pod {name} in StatefulSet {owner} successful")

    def _revision_for(self, ordinal: int) -> Obj:
        strategy = self._owner["spec"]["updateStrategy"]
        partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
        before = strategy["type"] == ROLLING and ordinal < self._wanted.start + partition
        return self._history.current if before else self._history.update

    def _shed(self) -> "Iterator[Change]":
        """Let go of what shall not be, from the last on; True when the rest has to wait."""
        sick = next((pod for pod in self._found.values() if is_deleting(pod) or not is_ready(pod)), None)
        for ordinal in sorted((number for number in self._found if number not in self._wanted), reverse=True):
            pod = self._found[ordinal]
            if is_deleting(pod):
                if self._ordered:
                    return True
                continue
            if self._ordered and pod is not sick and not self._is_available(pod):
                return True
            yield from self._delete(pod)
            if self._ordered:
                return True
        return False

    def _renew(self) -> Iterator[Change]:
        strategy = self._owner["spec"]["updateStrategy"]
        if strategy["type"] != ROLLING:
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
        update = self._history.update["metadata"]["name"]
        for ordinal in reversed(self._wanted[partition:]):
            pod = self._found.get(ordinal)
            if pod is None:
                return
            if revision_of(pod) != update and not is_deleting(pod):
                yield from self._delete(pod)
                return
            if is_deleting(pod) or not self._is_available(pod):
                return

    def _delete(self, pod: Obj) -> Iterator[Change]:
        yield Delete(POD, pod)
        name, owner = pod["metadata"]["name"], self._owner["metadata"]["name"]
        yield self._tell("SuccessfulDelete", f"Delete Pod {name} in StatefulSet {owner} successful")

    def _is_available(self, pod: Obj) -> bool:
        return replicas.available_in(pod, self._least, self._now) == 0.0

    def _tell(self, reason: str, message: str) -> Create:
        return told(STATEFUL_SET, self._owner, (reason, message), self._now, by=_BY)

    def status(self) -> Obj:
        """What the status tells: how many Pods there are, are ready, and are of which revision."""
        owner, history = self._owner, self._history
        mine = self._found.values()
        staying = [pod for pod in mine if not is_deleting(pod)]
        current, update = history.current["metadata"]["name"], history.update["metadata"]["name"]
        ready = [pod for pod in mine if is_ready(pod) and not is_over(pod)]
        status: Obj = {
            "observedGeneration": owner["metadata"]["generation"],
            "replicas": len(mine),
            "readyReplicas": len(ready),
            "availableReplicas": sum(1 for pod in ready if self._is_available(pod)),
            "currentReplicas": sum(1 for pod in staying if revision_of(pod) == current),
            "updatedReplicas": sum(1 for pod in staying if revision_of(pod) == update),
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": history.collisions,
        }
        wanted = owner["spec"]["replicas"]
        rolled = owner["spec"]["updateStrategy"]["type"] == ROLLING
        if rolled and status["updatedReplicas"] == status["readyReplicas"] == status["replicas"] == wanted:
            status |= {"currentReplicas": wanted, "currentRevision": update}
        return replicas.counted(status, ("replicas", "availableReplicas", "collisionCount"))
