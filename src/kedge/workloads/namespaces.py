"""Namespaces: each has its default ServiceAccount, and one that is deleted is emptied before it goes."""

from dataclasses import dataclass
from datetime import datetime

from kedge import errors
from kedge.client.types import Client, Reader
from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.control.controller import Controller
from kedge.kube.clock import Clock
from kedge.kube.conditions import condition, put
from kedge.kube.core import EVENT, NAMESPACE, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import is_deleting
from kedge.workloads.graph import Graph

FINALIZER = "kubernetes"
DEFAULT_ACCOUNT = "default"
_BATCH = 200  # objects deleted in one pass, so that a large namespace does not hold the event loop for long


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        namespace: The Namespace.
        account: Whether its default ServiceAccount is there.
        contents: What is in it; only looked up when it is being deleted.
    """

    namespace: Obj
    account: bool
    contents: tuple[tuple[Kind, Obj], ...] = ()


class Namespaces:
    """Reconciles one Namespace."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._kinds = tuple(kind for kind in (*kinds, EVENT) if kind.namespaced)

    async def observe(self, reader: Reader, key: str) -> Seen | None:
        """Look at a Namespace and what is in it."""
        try:
            namespace = await reader.get(NAMESPACE, key)
        except errors.NotFound:
            return None
        if not is_deleting(namespace):
            return Seen(namespace, await _is_there(reader, key))
        contents = [(kind, obj) for kind in self._kinds for obj in (await reader.list(kind, key)).items]
        return Seen(namespace, account=True, contents=tuple(contents))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: the account of a living namespace; emptying, then letting go, of one that is being deleted."""
        namespace = seen.namespace
        name = namespace["metadata"]["name"]
        if not is_deleting(namespace):
            account: Obj = {"metadata": {"name": DEFAULT_ACCOUNT, "namespace": name}}
            return Plan() if seen.account else Plan((Create(SERVICE_ACCOUNT, account),))
        if not seen.contents:
            kept = [each for each in namespace.get("spec", {}).get("finalizers") or () if each != FINALIZER]
            after = {**namespace, "spec": {**namespace.get("spec", {}), "finalizers": kept}}
            return Plan((Update(NAMESPACE, namespace, after, subresource="finalize"),))
        deletions = [Delete(kind, obj) for kind, obj in seen.contents if not is_deleting(obj)][:_BATCH]
        # Looked at again at once as long as something could be asked to go; then when the last of it is gone.
        return Plan((*_report(seen, now), *deletions), requeue_after=0 if deletions else None)


def _report(seen: Seen, now: datetime) -> tuple[Change, ...]:
    """The condition that says what the namespace waits for: what is left after everything was asked to go."""
    waiting = [(kind, obj) for kind, obj in seen.contents if is_deleting(obj)]
    if not waiting:
        return ()
    counts = {kind.resource: sum(1 for other, _ in waiting if other == kind) for kind, _ in waiting}
    message = "still there: " + ", ".join(f"{count} {resource}" for resource, count in sorted(counts.items()))
    status = seen.namespace.get("status") or {}
    remaining = condition("NamespaceContentRemaining", status=True, reason="SomeResourcesRemain", message=message, now=now)
    conditions = put(status.get("conditions") or (), remaining)
    return (set_status(NAMESPACE, seen.namespace, {**status, "conditions": conditions}),)


async def _is_there(reader: Reader, namespace: str) -> bool:
    try:
        await reader.get(SERVICE_ACCOUNT, DEFAULT_ACCOUNT, namespace)
    except errors.NotFound:
        return False
    return True


def namespaces_controller(graph: Graph, client: Client, clock: Clock) -> Controller[str]:
    """The controller of all Namespaces; run it beside the graph."""
    controller = Controller[str].of("namespaces", Namespaces(graph.kinds), client, clock)
    leaving = set[str]()

    def keys(kind: Kind, old: Obj | None, new: Obj | None) -> list[str]:
        obj: Obj = new or old or {}
        if kind.resource == NAMESPACE.resource:
            name: str = obj["metadata"]["name"]
            if new is not None and is_deleting(new):
                leaving.add(name)
            elif new is None:
                leaving.discard(name)
                return []
            # What the status says changes nothing here.
            return [name] if old is None or is_deleting(old) != is_deleting(obj) else []
        home: str = obj["metadata"].get("namespace") or ""
        if not home or new is not None:
            return []
        lost_account = kind.resource == SERVICE_ACCOUNT.resource and obj["metadata"]["name"] == DEFAULT_ACCOUNT
        return [home] if (graph.is_empty(home) if home in leaving else lost_account) else []

    for informer in graph.informers:
        controller.follow(informer, lambda old, new, kind=informer.kind: keys(kind, old, new))
    return controller
