"""The controllers that keep Pods running, wired: which change of what makes which of them look again."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol, TypeVar

from kedge import errors
from kedge.client.types import Client
from kedge.control.apply import Plan, apply
from kedge.control.controller import Controller, Reconciler, reconcile
from kedge.control.informer import Informer
from kedge.kube import conditions
from kedge.kube.apps import DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kedge.kube.clock import Clock
from kedge.kube.core import NODE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, controller, key_of, owners
from kedge.kube.replication_controllers import REPLICATION_CONTROLLER
from kedge.kube.selectors import from_label_selector, label_predicate, of_owner
from kedge.workloads.daemonsets import DaemonSets
from kedge.workloads.deployments import Deployments
from kedge.workloads.replicasets import ReplicaSets
from kedge.workloads.replicationcontrollers import ReplicationControllers
from kedge.workloads.stale_disruptions import DISRUPTION_TARGET
from kedge.workloads.statefulsets import StatefulSets

_KEPT = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences", "deletionTimestamp")
_BY_CONTROLLER = "controller"
_WORKERS = 4
_TERMINATING = "NamespaceTerminating"

S = TypeVar("S")


class Telling(Reconciler[Key, S], Protocol[S]):
    """A reconciler that says in the status what could not be done."""

    def failed(self, seen: S, message: str, now: datetime) -> Plan:
        """What is told when the API refused something."""
        ...


def _glimpse(pod: Obj) -> Obj:
    """What of a Pod concerns those who keep it; a change of anything else is none to them."""
    meta, status = pod["metadata"], pod.get("status") or {}
    return {
        "metadata": {name: meta[name] for name in _KEPT if name in meta},
        "spec": {"nodeName": pod["spec"].get("nodeName")},
        "status": {
            "phase": status.get("phase"),
            "conditions": [ready] if (ready := conditions.find(pod, "Ready")) is not None else [],
            "disrupted": conditions.is_true(pod, DISRUPTION_TARGET),
        },
    }


def _place(node: Obj) -> Obj:
    """What of a node concerns DaemonSets; its heartbeats do not."""
    meta = node["metadata"]
    return {"metadata": {name: meta[name] for name in _KEPT if name in meta}, "spec": node.get("spec") or {}}


def _moved(old: Obj | None, new: Obj | None) -> bool:
    return old is None or new is None or _without_version(old) != _without_version(new)


class Keeping:
    """The controllers of what keeps Pods running, and what they follow.

    Args:
        client: Reads and writes objects.
        clock: For delays and ages.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._pods = Informer(client, POD, clock).keeping(_glimpse)
        self._pods.index(_BY_CONTROLLER, lambda pod: [owner["uid"] for owner in owners(pod) if owner.get("controller")])
        kinds = (REPLICA_SET, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICATION_CONTROLLER)
        self._keepers = tuple(Informer(client, kind, clock) for kind in kinds)
        sets, deployments, stateful, daemons, older = self._keepers
        self._nodes = Informer(client, NODE, clock).keeping(_place)
        self.controllers: tuple[Controller[Key], ...] = (
            self._controller("replicasets", ReplicaSets(self._owned), (sets, self._pods)),
            self._controller("deployments", Deployments(), (deployments, sets)),
            self._controller("statefulsets", StatefulSets(self._owned), (stateful, self._pods)),
            self._controller("replicationcontrollers", ReplicationControllers(self._owned), (older, self._pods)),
            by_node := self._controller("daemonsets", DaemonSets(self._owned), (daemons, self._pods)),
        )
        by_node.follow(self._nodes, lambda old, new: [key_of(each) for each in daemons.items()] if _moved(old, new) else [])

    @property
    def pods(self) -> Informer:
        """All Pods, with their labels, owners and whether they are ready, or meant to end."""
        return self._pods

    @property
    def informers(self) -> tuple[Informer, ...]:
        """What must run beside the controllers."""
        return self._pods, *self._keepers, self._nodes

    def _owned(self, uid: str) -> Iterable[Key]:
        return [key_of(pod) for pod in self._pods.find(_BY_CONTROLLER, uid)]

    def _controller(self, name: str, reconciler: Telling[S], follows: tuple[Informer, Informer]) -> Controller[Key]:
        keepers, kept = follows
        made = Controller[Key](name, telling(reconciler, self._client, self._clock), self._clock, workers=_WORKERS)
        made.follow(keepers, itself)
        made.follow(kept, lambda old, new: set(keepers_of(keepers, old, new)))
        return made


def telling(reconciler: Telling[S], client: Client, clock: Clock) -> Callable[[Key], Awaitable[float | None]]:
    """One pass of a reconciler, which also tells what the API refused. What a namespace that is emptied refuses is no news.

    Args:
        reconciler: Decides.
        client: Reads and writes objects.
        clock: The time.
    """

    async def handle(key: Key) -> float | None:
        try:
            _, again = await reconcile(reconciler, client, key, clock.now())
        except errors.Conflict:
            raise
        except errors.ApiError as error:
            if any(cause.reason == _TERMINATING for cause in error.causes):
                return None
            seen = await reconciler.observe(client, key)
            if seen is not None:
                await apply(client, reconciler.failed(seen, str(error), clock.now()))
            raise
        return again

    return handle


def itself(old: Obj | None, new: Obj | None) -> list[Key]:
    """What changed is what must be looked at again."""
    changed = new or old
    return [key_of(changed)] if changed is not None else []


def keepers_of(keepers: Informer, old: Obj | None, new: Obj | None) -> Iterator[Key]:
    """Who must look again after a change of something that is kept: its controller, or whose selector matches what has none.

    Args:
        keepers: Those who keep things.
        old: The thing before, or ``None``.
        new: The thing after, or ``None``.
    """
    if not _moved(old, new):
        return
    for obj in (old, new):
        if obj is None:
            continue
        holder = controller(obj)
        if holder is not None and _is_of(keepers.kind, holder):
            yield Key(key_of(obj).namespace, holder["name"])
        elif holder is None and obj is new:
            for keeper in keepers.items(key_of(obj).namespace):
                if label_predicate(from_label_selector(of_owner(keeper)))(obj):
                    yield key_of(keeper)


def _is_of(kind: Kind, holder: Obj) -> bool:
    return holder["kind"] == kind.kind and holder["apiVersion"].rpartition("/")[0] == kind.group


def _without_version(obj: Obj) -> Obj:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}
