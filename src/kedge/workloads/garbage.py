"""The garbage collector: objects go when their owners are gone.

- An object all of whose owners are gone is deleted (*background*: the owner went first). An owner that never was counts as gone.
- An object that has other owners left only loses the references to those that are gone.
- An owner deleted in the *foreground* stays until the objects that block it are gone; those are deleted meanwhile.
  One that owns an object that waits in this way blocks nothing any more: objects in a circle would wait for each other for ever.
- An owner deleted as *orphan* stays until no object names it any more.

Cost: one lookup for each new object that has owners, one for each dependent of an owner that goes. Nothing is ever scanned.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kedge import errors
from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Delete, Plan, Update
from kedge.control.controller import Controller
from kedge.kube.clock import Clock
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import FOREGROUND, ORPHAN, finalizers, is_deleting, owners, uid_of, with_metadata, without_finalizer
from kedge.workloads.graph import Graph, Item, item_of

State = Literal["there", "leaving", "gone"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        kind: The object's kind.
        obj: The object, freshly read where it is going to be written.
        owners: Each owner reference and how the owner is; ``leaving`` is one that waits, in the foreground, for this object.
        dependents: What names this object as owner; only looked up when it is being deleted.
        circular: Whether one of the owners that wait for this object would also be waited for, as what it owns.
    """

    kind: Kind
    obj: Obj
    owners: tuple[tuple[Obj, State], ...] = ()
    dependents: tuple[tuple[Kind, Obj], ...] = ()
    circular: bool = False


class GarbageCollector:
    """Reconciles one object of any kind with how its owners, and what it owns, are."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def observe(self, reader: Reader, key: Item) -> Seen | None:
        """Look at an object, its owners and what it owns."""
        known = self._graph.get(key)
        if known is not None and not is_deleting(known) and all(_stays(self._graph, known, each) for each in owners(known)):
            return None  # at a start its owners were not known yet when it was; when one of them goes, it is looked at again
        if (obj := await get_or_none(reader, key.kind, key.key.name, key.key.namespace or None)) is None:
            return None
        if is_deleting(obj):
            waits = {FOREGROUND, ORPHAN} & set(finalizers(obj))
            dependents = await self._fresh(reader, uid_of(obj), orphan=ORPHAN in waits) if waits else ()
            return Seen(key.kind, obj, dependents=tuple(dependents))
        states: list[tuple[Obj, State]] = [(owner, await self._state(reader, obj, owner)) for owner in owners(obj)]
        leaving = any(state == "leaving" for _, state in states)
        circular = leaving and any(_waits(owned) for _, owned in self._graph.dependents(uid_of(obj)))
        return Seen(key.kind, obj, owners=tuple(states), circular=circular)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide what becomes of the object."""
        del now
        if is_deleting(seen.obj):
            return Plan(tuple(_let_go(seen)))
        if not seen.owners or all(state == "there" for _, state in seen.owners):
            return Plan()
        remaining = [owner for owner, state in seen.owners if state == "there"]
        if remaining:
            # Somebody still needs it: only the references to the others go.
            return Plan((Update(seen.kind, seen.obj, with_metadata(seen.obj, ownerReferences=remaining)),))
        leaving = any(state == "leaving" for _, state in seen.owners)
        delete = Delete(seen.kind, seen.obj, "Foreground" if leaving else "Background")
        if seen.circular:
            unblocking = [{**owner, "blockOwnerDeletion": False} for owner in owners(seen.obj)]
            return Plan((Update(seen.kind, seen.obj, with_metadata(seen.obj, ownerReferences=unblocking)), delete))
        return Plan((delete,))

    async def _state(self, reader: Reader, obj: Obj, owner: Obj) -> State:
        namespace = obj["metadata"].get("namespace")
        known = self._graph.find(owner["uid"])
        if known is not None:
            kind, found = known
            if kind.namespaced and found["metadata"].get("namespace") != namespace:
                return "gone"  # an owner must be in the object's namespace, or in none
            return _is(found, owner)
        kind = self._graph.kind_of(owner)
        if kind is None:
            return "there"  # its kind is not served here (yet): nobody can say that it is gone
        try:
            found = await reader.get(kind, owner["name"], namespace if kind.namespaced else None)
        except errors.NotFound:
            return "gone"
        return _is(found, owner) if uid_of(found) == owner["uid"] else "gone"

    async def _fresh(self, reader: Reader, uid: str, *, orphan: bool) -> list[tuple[Kind, Obj]]:
        """The dependents; read again where they are going to be changed, because the graph holds metadata only."""
        found = self._graph.dependents(uid)
        if not orphan:
            return found
        fresh = list[tuple[Kind, Obj]]()
        for kind, obj in found:
            item = item_of(kind, obj)
            try:
                fresh.append((kind, await reader.get(kind, item.key.name, item.key.namespace or None)))
            except errors.NotFound:
                continue
        return fresh


def _is(found: Obj, owner: Obj) -> State:
    return "leaving" if _waits(found) and owner.get("blockOwnerDeletion") else "there"


def _waits(obj: Obj) -> bool:
    return is_deleting(obj) and FOREGROUND in finalizers(obj)


def _let_go(seen: Seen) -> Iterator[Change]:
    """What an object that is being deleted still waits for."""
    uid = uid_of(seen.obj)
    if ORPHAN in finalizers(seen.obj):
        for kind, dependent in seen.dependents:
            others = [owner for owner in owners(dependent) if owner["uid"] != uid]
            if len(others) < len(owners(dependent)):
                yield Update(kind, dependent, with_metadata(dependent, ownerReferences=others or None))
        yield Update(seen.kind, seen.obj, without_finalizer(seen.obj, ORPHAN))
    elif FOREGROUND in finalizers(seen.obj):
        blocking = [dependent for _, dependent in seen.dependents if _blocks(dependent, uid)]
        if not blocking:
            yield Update(seen.kind, seen.obj, without_finalizer(seen.obj, FOREGROUND))


def _blocks(dependent: Obj, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners(dependent))


def affected(graph: Graph, kind: Kind, old: Obj | None, new: Obj | None) -> Iterable[Item]:
    """The objects that must be looked at after a change.

    Args:
        graph: What is known, after the change.
        kind: The changed object's kind.
        old: The object before, or ``None``.
        new: The object after, or ``None``.
    """
    changed = new or old
    if changed is None:
        return
    if new is not None:
        waits = is_deleting(new) and {FOREGROUND, ORPHAN} & set(finalizers(new))
        # Looked at when it waits, or is new or gets other owners and one of them is not known to stay. So an ordinary change of a
        # Pod's status costs nothing, and a new Pod of a run a lookup: when the run goes, its dependents are looked at.
        if waits or ((old is None or owners(old) != owners(new)) and not all(_stays(graph, new, each) for each in owners(new))):
            yield item_of(kind, new)
    if new is None or (_waits(new) and not (old and is_deleting(old))):
        for dependent_kind, dependent in graph.dependents(uid_of(changed)):
            yield item_of(dependent_kind, dependent)
    if new is None or (old is not None and owners(old) != owners(new)):
        for owner in owners(old or changed):
            known = graph.find(owner["uid"])
            if known is not None and is_deleting(known[1]):
                yield item_of(*known)


def _stays(graph: Graph, obj: Obj, owner: Obj) -> bool:
    known = graph.find(owner["uid"])
    if known is None or is_deleting(known[1]):
        return False
    return not known[0].namespaced or known[1]["metadata"].get("namespace") == obj["metadata"].get("namespace")


def garbage_controller(graph: Graph, client: Client, clock: Clock) -> Controller[Item]:
    """The controller that keeps a graph free of garbage; run it beside the graph."""
    controller = Controller[Item].of("garbage", GarbageCollector(graph), client, clock)

    graph.on_informer(
        lambda informer: controller.follow(informer, lambda old, new, kind=informer.kind: affected(graph, kind, old, new))
    )
    return controller
