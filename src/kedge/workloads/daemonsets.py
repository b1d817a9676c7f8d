"""DaemonSets: a Pod on each node that may have one, replaced node by node when the template changes.

The rules are Kubernetes' (https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, set_status
from kedge.kube.apps import CONTROLLER_REVISION, DAEMON_SET
from kedge.kube.apps_rules import ROLLING
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, labels_of
from kedge.kube.pods import is_over, is_ready
from kedge.node.scheduling import REQUIRED, tolerated, unlike
from kedge.workloads import claiming, replicas
from kedge.workloads.replicasets import pods_of
from kedge.workloads.revisions import LABEL, History, claimed, mark_of, planned
from kedge.workloads.shares import part_of
from kedge.workloads.told import told

_BY = "daemonset-controller"
_NAME = "metadata.name"
_STAYS = "NoExecute"
_KEEPS_AWAY = frozenset({"NoSchedule", _STAYS})
# What daemons put up with, whatever their template says: they are there when a node is in trouble.
_TOLERATED: tuple[tuple[str, str], ...] = (
    ("not-ready", _STAYS),
    ("unreachable", _STAYS),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_OF_HOST_NETWORK = ("network-unavailable", "NoSchedule")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        daemon_set: The DaemonSet.
        pods: The Pods that its selector matches, and those that name it as their controller.
        revisions: The ControllerRevisions of its namespace.
        nodes: All nodes.
    """

    daemon_set: Obj
    pods: tuple[Obj, ...]
    revisions: tuple[Obj, ...]
    nodes: tuple[Obj, ...]


class DaemonSets:
    """Reconciles one DaemonSet.

    Args:
        owned: The keys of the Pods that name a uid as their controller, as far as is known.
    """

    def __init__(self, owned: Callable[[str], Iterable[Key]]) -> None:
        self._owned = owned

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a DaemonSet, its Pods, its history, and the nodes."""
        if (found := await get_or_none(reader, DAEMON_SET, key.name, key.namespace)) is None:
            return None
        pods = await pods_of(reader, found, self._owned)
        revisions = (await reader.list(CONTROLLER_REVISION, key.namespace)).items
        return Seen(found, tuple(pods), tuple(revisions), tuple((await reader.list(NODE)).items))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide which node gets a Pod, and which loses one; the status tells what was seen."""
        owner = seen.daemon_set
        pods = claiming.claim(DAEMON_SET, owner, seen.pods, of=POD)
        revisions = claimed(DAEMON_SET, owner, seen.revisions)
        return planned(DAEMON_SET, owner, pods, revisions, _Pass(seen, pods.mine, revisions[1], now))

    def failed(self, seen: Seen, message: str, now: datetime) -> Plan:
        """What is told when Pods could not be made or deleted."""
        owner = seen.daemon_set
        pods = claiming.claim(DAEMON_SET, owner, seen.pods, of=POD).mine
        status = _Pass(seen, pods, claimed(DAEMON_SET, owner, seen.revisions)[1], now).status()
        lacking = status["currentNumberScheduled"] < status["desiredNumberScheduled"]
        reason, words = ("FailedCreate", "creating") if lacking else ("FailedDelete", "deleting")
        event = told(DAEMON_SET, owner, (reason, f"Error {words}: {message}"), now, by=_BY, warning=True)
        return Plan((set_status(DAEMON_SET, owner, status), event))


class _Pass:
    """What one pass does: missing Pods are made, superfluous ones deleted, those of older templates replaced, a few at a time.

    Args:
        seen: What was seen.
        pods: The DaemonSet's Pods.
        history: Its revisions.
        now: The time.

    Attributes:
        again: Seconds until it is to be looked at again although nothing changes.
    """

    def __init__(self, seen: Seen, pods: Iterable[Obj], history: History, now: datetime) -> None:
        self._owner, self._history, self._now = seen.daemon_set, history, now
        self._least: int = self._owner["spec"].get("minReadySeconds") or 0
        self._mark = mark_of(history.update)
        self._taken = [pod["metadata"]["name"] for pod in seen.pods]
        self._there: dict[str, list[Obj]] = {}
        for pod in replicas.by_age(pods):
            # One that has ended and only waits for a finalizer is in nobody's way; one for no node yet is somebody else's still.
            if (node := _node_of(pod)) and not (is_over(pod) and is_deleting(pod)):
                self._there.setdefault(node, []).append(pod)
        self._nodes = {node["metadata"]["name"]: node for node in seen.nodes}
        self._may_begin = {name for name, node in self._nodes.items() if _fits(self._model, node, _KEEPS_AWAY)}
        self._may_stay = {name for name, node in self._nodes.items() if _fits(self._model, node, frozenset({_STAYS}))}
        self.again = replicas.soonest([pod for each in self._there.values() for pod in each], self._least, now)

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        """How many nodes may be without an available Pod, and how many may have two, while Pods are replaced."""
        rolling = self._owner["spec"]["updateStrategy"]["rollingUpdate"]
        away, surge = (part_of(rolling[key], len(self._may_begin), up=True) for key in ("maxUnavailable", "maxSurge"))
        return away, surge

    @property
    def _rolls(self) -> bool:
        return self._owner["spec"]["updateStrategy"]["type"] == ROLLING

    @property
    def _surges(self) -> bool:
        return self._rolls and self._bounds[1] > 0

    def changes(self) -> Iterator[Change]:
        """What is to be done."""
        deleted: list[Obj] = []
        lacking: list[str] = []
        for name in sorted({*self._nodes, *self._there}):
            found = self._there.get(name, [])
            staying = [pod for pod in found if not is_deleting(pod)] if self._surges else found
            if not staying and name in self._may_begin:
                lacking.append(name)
            deleted += self._unwanted(name, found)
        if self._rolls:
            gone = {pod["metadata"]["name"] for pod in deleted}
            more, fewer = self._roll(gone)
            lacking += more
            deleted += fewer
        for pod in deleted:  # first: where a quota is full, they make room
            yield from self._delete(pod)
        names = replicas.new_names(self._owner, self._taken, len(lacking))
        for node, name in zip(lacking, names, strict=True):
            yield Create(POD, self._pod(name, node))
            yield self._tell("SuccessfulCreate", f"Created pod: {name}")

    def _unwanted(self, node: str, found: list[Obj]) -> Iterator[Obj]:
        """The Pods of a node that must go: all where none may be, those that have ended, and those beside the oldest."""
        staying = [pod for pod in found if not is_deleting(pod)]
        if node not in self._nodes:  # what is bound there goes when the node has been away for long enough
            yield from (pod for pod in staying if not pod["spec"].get("nodeName"))
            return
        if node not in self._may_stay:
            yield from staying
            return
        ended = [pod for pod in staying if is_over(pod)]
        for pod in ended:
            if left := replicas.younger(pod, replicas.LEAST_AGE, self._now):
                self.again = min(left, self.again or left)
            else:
                yield pod
        running = [pod for pod in staying if not is_over(pod)]
        old, new = ([pod for pod in running if (_mark(pod) == self._mark) is fresh] for fresh in (False, True))
        yield from (old[1:] + new[1:]) if self._surges else running[1:]

    def _roll(self, gone: set[str]) -> tuple[list[str], list[Obj]]:
        """On which nodes a second Pod is made, and which Pods go."""
        away, surge = self._bounds
        more: list[str] = []
        fewer: list[Obj] = []
        waiting_nodes: list[str] = []
        waiting_pods: list[Obj] = []
        unavailable = surging = 0
        for node in sorted(self._may_begin | (self._may_stay & self._there.keys())):
            found = [pod for pod in self._there.get(node, []) if pod["metadata"]["name"] not in gone]
            staying = [pod for pod in found if not is_deleting(pod)]
            old = next((pod for pod in staying if _mark(pod) != self._mark), None)
            new = next((pod for pod in staying if _mark(pod) == self._mark), None)
            if old is None:
                unavailable += node in self._may_begin and not (new is not None and self._is_available(new))
            elif surge and new is not None:
                surging += not self._is_available(new)
                if self._is_available(new) or not is_ready(old):
                    fewer.append(old)
            elif surge:
                (waiting_nodes if self._is_available(old) else more).append(node)
            elif self._is_available(old):
                waiting_pods.append(old)
            else:  # nobody misses it
                unavailable += 1
                fewer.append(old)
        if surge:
            return more + waiting_nodes[: max(0, surge - surging - len(more))], fewer
        return [], fewer + waiting_pods[: max(0, away - unavailable)]

    def _delete(self, pod: Obj) -> Iterator[Change]:
        name, phase = pod["metadata"]["name"], (pod.get("status") or {}).get("phase")
        about = f"daemon pod {pod['metadata']['namespace']}/{name} on node {_node_of(pod)}"
        if phase == "Failed":
            yield self._tell("FailedDaemonPod", f"Found failed {about}, will try to kill it", warning=True)
        elif phase == "Succeeded":
            yield self._tell("SucceededDaemonPod", f"Found succeeded {about}, will try to delete it")
        yield Delete(POD, pod)
        yield self._tell("SuccessfulDelete", f"Deleted pod: {name}")

    def _tell(self, reason: str, message: str, *, warning: bool = False) -> Create:
        return told(DAEMON_SET, self._owner, (reason, message), self._now, by=_BY, warning=warning)

    def _is_available(self, pod: Obj) -> bool:
        return replicas.available_in(pod, self._least, self._now) == 0.0

    @cached_property
    def _model(self) -> Obj:
        """A Pod of the template, bound to nothing yet."""
        template = self._owner["spec"]["template"]
        spec = template.get("spec") or {}
        keys = (*_TOLERATED, *((_OF_HOST_NETWORK,) if spec.get("hostNetwork") else ()))
        added = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect} for key, effect in keys]
        own = [each for each in spec.get("tolerations") or () if not any(_same(each, other) for other in added)]
        labels = {**((template.get("metadata") or {}).get("labels") or {}), LABEL: self._mark}
        meta = {**(template.get("metadata") or {}), "labels": labels}
        return {"metadata": meta, "spec": {**spec, "tolerations": [*own, *added]}}

    def _pod(self, name: str, node: str) -> Obj:
        """A Pod for a node: the scheduler binds it there, once it has room."""
        spec, affinity = self._model["spec"], self._model["spec"].get("affinity") or {}
        here = {"nodeSelectorTerms": [{"matchFields": [{"key": _NAME, "operator": "In", "values": [node]}]}]}
        bound = {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), REQUIRED: here}}
        return replicas.new_pod(DAEMON_SET, self._owner, {**self._model, "spec": {**spec, "affinity": bound}}, name)

    def status(self) -> Obj:
        """What the status tells: of each node that shall have a Pod, how its oldest one does."""
        first = [found[0] for node, found in self._there.items() if node in self._may_begin]
        ready = [pod for pod in first if is_ready(pod)]
        available = sum(1 for pod in ready if self._is_available(pod))
        status: Obj = {
            "currentNumberScheduled": len(first),
            "numberMisscheduled": sum(1 for node in self._there if node in self._nodes and node not in self._may_begin),
            "desiredNumberScheduled": len(self._may_begin),
            "numberReady": len(ready),
            "observedGeneration": self._owner["metadata"]["generation"],
            "updatedNumberScheduled": sum(1 for pod in first if _mark(pod) == self._mark),
            "numberAvailable": available,
            "numberUnavailable": len(self._may_begin) - available,
            "collisionCount": self._history.collisions,
        }
        always = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        return replicas.counted(status, always)


def _same(toleration: Obj, other: Obj) -> bool:
    """Whether two tolerations are for the same, be it for a while."""
    return all((toleration.get(key) or "") == (other.get(key) or "") for key in ("key", "operator", "effect", "value"))


def _mark(pod: Obj) -> str:
    return labels_of(pod).get(LABEL) or ""


def _node_of(pod: Obj) -> str:
    """The node of a Pod: where it is bound to, or for which it was made."""
    spec = pod["spec"]
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == _NAME and field.get("values"):
                return spec.get("nodeName") or str(field["values"][0])
    return spec.get("nodeName") or ""


def _fits(model: Obj, node: Obj, effects: frozenset[str]) -> bool:
    """Whether a node is one that the template chooses, and has no taint of some effects that it does not tolerate."""
    wanted = model["spec"].get("nodeName")
    if (wanted and wanted != node["metadata"]["name"]) or unlike(model, node):
        return False
    taints = [taint for taint in (node.get("spec") or {}).get("taints") or () if taint.get("effect") in effects]
    return all(any(tolerated(each, taint) for each in model["spec"]["tolerations"]) for taint in taints)
