"""Namespaces: each has its default ServiceAccount and the API's authority, and one that is deleted is emptied before it goes.

Its Pods go first: what they use, and what keeps others away from them, is there as long as one of them is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update, set_status
from kedge.control.controller import Controller
from kedge.kube.clock import Clock
from kedge.kube.conditions import condition, put
from kedge.kube.core import CONFIG_MAP, EVENT, NAMESPACE, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import finalizers, is_deleting
from kedge.kube.service_accounts import CA_KEY, DEFAULT, ROOT_CA
from kedge.workloads.graph import Graph

FINALIZER = "kubernetes"
_DESCRIPTION = "kubernetes.io/description"
_PURPOSE = (
    "The authority by which clients in Pods know the API, as kubernetes.default.svc for one. Made again when it is changed."
)
_ACCOUNT, _AUTHORITY = (SERVICE_ACCOUNT.resource, DEFAULT), (CONFIG_MAP.resource, ROOT_CA)
_BATCH = 200  # objects deleted in one pass, so that a large namespace does not hold the event loop for long


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        namespace: The Namespace.
        account: Whether its default ServiceAccount is there.
        authority: The ConfigMap with the API's authority, where it is there.
        contents: What is in it; only looked up when it is being deleted.
    """

    namespace: Obj
    account: bool
    authority: Obj | None = None
    contents: tuple[tuple[Kind, Obj], ...] = ()


class Namespaces:
    """Reconciles one Namespace.

    Args:
        kinds: All kinds that may be in it.
        authority: By which the API's certificate is known, PEM.
    """

    def __init__(self, kinds: Callable[[], tuple[Kind, ...]], authority: str) -> None:
        self._kinds = kinds
        self._data = {CA_KEY: authority}

    async def observe(self, reader: Reader, key: str) -> Seen | None:
        """Look at a Namespace and what is in it."""
        if (namespace := await get_or_none(reader, NAMESPACE, key)) is None:
            return None
        if not is_deleting(namespace):
            account = await get_or_none(reader, SERVICE_ACCOUNT, DEFAULT, key)
            return Seen(namespace, account is not None, await get_or_none(reader, CONFIG_MAP, ROOT_CA, key))
        kinds = [kind for kind in (*self._kinds(), EVENT) if kind.namespaced and "list" in kind.verbs]
        contents = [(kind, obj) for kind in kinds for obj in (await reader.list(kind, key)).items]
        return Seen(namespace, account=True, contents=tuple(contents))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide: what a living namespace has; emptying, then letting go, of one that is being deleted."""
        namespace = seen.namespace
        name = namespace["metadata"]["name"]
        if not is_deleting(namespace):
            account = Create(SERVICE_ACCOUNT, {"metadata": {"name": DEFAULT, "namespace": name}})
            return Plan((*(() if seen.account else (account,)), self._trusted(seen)))
        if not seen.contents:
            kept = [each for each in namespace.get("spec", {}).get("finalizers") or () if each != FINALIZER]
            after = {**namespace, "spec": {**namespace.get("spec", {}), "finalizers": kept}}
            return Plan((Update(NAMESPACE, namespace, after, subresource="finalize"),))
        going = [(kind, obj) for kind, obj in seen.contents if kind.resource == POD.resource] or seen.contents
        deletions = [Delete(kind, obj) for kind, obj in going if not is_deleting(obj)][:_BATCH]
        # Looked at again at once as long as something could be asked to go; then when the last of it is gone.
        return Plan((*_report(seen, now), *deletions), requeue_after=0 if deletions else None)

    def _trusted(self, seen: Seen) -> Change:
        found, name = seen.authority, seen.namespace["metadata"]["name"]
        if found is None:
            meta = {"name": ROOT_CA, "namespace": name, "annotations": {_DESCRIPTION: _PURPOSE}}
            return Create(CONFIG_MAP, {"metadata": meta, "data": self._data})
        noted = found["metadata"].get("annotations") or {}
        meta = {**found["metadata"], "annotations": {**noted, _DESCRIPTION: noted.get(_DESCRIPTION) or _PURPOSE}}
        return Update(CONFIG_MAP, found, {**found, "metadata": meta, "data": self._data})


def _report(seen: Seen, now: datetime) -> tuple[Change, ...]:
    """The conditions that say what the namespace waits for: what is left after it was asked to go."""
    waiting = [(kind, obj) for kind, obj in seen.contents if is_deleting(obj)]
    if not waiting:
        return ()
    counts = Counter(f"{kind.plural}.{kind.group}" for kind, _ in waiting)
    names = Counter(name for _, obj in waiting for name in finalizers(obj))
    there = ", ".join(f"{resource} has {count} resource instances" for resource, count in sorted(counts.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(names.items()))
    held = f"Some content in the namespace has finalizers remaining: {held}" if held else ""
    parsed = (
        "NamespaceDeletionGroupVersionParsingFailure",
        False,
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    )
    told: tuple[tuple[str, bool, str, str], ...] = (
        ("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered"),
        parsed,
        ("NamespaceDeletionContentFailure", False, "ContentDeleted", "All content successfully deleted"),
        ("NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {there}"),
        ("NamespaceFinalizersRemaining", bool(held), "SomeFinalizersRemain" if held else "ContentHasNoFinalizers", held),
    )
    status = seen.namespace.get("status") or {}
    conditions: Sequence[Obj] = status.get("conditions") or ()
    for name, is_so, reason, message in told:
        conditions = put(conditions, condition(name, status=is_so, reason=reason, message=message, now=now))
    return (set_status(NAMESPACE, seen.namespace, {**status, "conditions": conditions}),)


def namespaces_controller(graph: Graph, client: Client, clock: Clock, authority: str) -> Controller[str]:
    """The controller of all Namespaces; run it beside the graph."""
    controller = Controller[str].of("namespaces", Namespaces(lambda: graph.kinds, authority), client, clock)
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
        if home in leaving:
            last = new is None and (
                graph.is_empty(home) or (kind.resource == POD.resource and graph.is_empty(home, POD.resource))
            )
            return [home] if last else []
        what = (kind.resource, obj["metadata"]["name"])
        is_kept = what == _AUTHORITY or (new is None and what == _ACCOUNT)
        return [home] if home and is_kept else []

    graph.on_informer(lambda informer: controller.follow(informer, lambda old, new, kind=informer.kind: keys(kind, old, new)))
    return controller
