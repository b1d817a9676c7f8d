"""Who owns whom: the metadata of all objects, current, and findable by owner.

Only what the garbage collector and the namespace controller ask for is held (about a kilobyte an object), so that thousands of
Pods cost little; each change costs the same however many objects there are.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kedge.client.types import Reader
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.core import EVENT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, key_of, owners, uid_of

_KEPT = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "ownerReferences",
    "finalizers",
    "deletionTimestamp",
)
_BY_OWNER = "owner"
_BY_UID = "uid"
_BY_NAMESPACE = "namespace"


class Item(NamedTuple):
    """One object of any kind."""

    kind: Kind
    key: Key

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.key}"


Handler = Callable[[Kind, Obj | None, Obj | None], None]


def _metadata_only(obj: Obj) -> Obj:
    meta = obj["metadata"]
    return {"metadata": {name: meta[name] for name in _KEPT if name in meta}}


class Graph:
    """The metadata of all objects of all kinds that are stored, except Events, which own nothing and go by themselves.

    Args:
        client: Where from.
        kinds: The kinds that are served.
        clock: For pauses between attempts.
    """

    def __init__(self, client: Reader, kinds: Iterable[Kind], clock: Clock) -> None:
        stored = [kind for kind in kinds if {"delete", "list", "watch"} <= set(kind.verbs) and kind.resource != EVENT.resource]
        self.kinds: tuple[Kind, ...] = tuple(stored)
        self._informers = {kind.resource: Informer(client, kind, clock).keeping(_metadata_only) for kind in stored}
        for informer in self._informers.values():
            informer.index(_BY_OWNER, lambda obj: [owner["uid"] for owner in owners(obj)])
            informer.index(_BY_UID, lambda obj: [uid_of(obj)])
            informer.index(_BY_NAMESPACE, lambda obj: [obj["metadata"].get("namespace") or ""])

    @property
    def informers(self) -> tuple[Informer, ...]:
        """One for each kind."""
        return tuple(self._informers.values())

    def on_change(self, handler: Handler) -> None:
        """Call ``handler(kind, old, new)`` for each change."""
        for informer in self._informers.values():
            informer.on_change(lambda old, new, kind=informer.kind: handler(kind, old, new))

    def find(self, uid: str) -> tuple[Kind, Obj] | None:
        """The object of a uid."""
        for informer in self._informers.values():
            for obj in informer.find(_BY_UID, uid):
                return informer.kind, obj
        return None

    def get(self, item: Item) -> Obj | None:
        """One object, as far as it is known."""
        return self._informers[item.kind.resource].get(item.key)

    def dependents(self, uid: str) -> list[tuple[Kind, Obj]]:
        """The objects that name an owner."""
        return [(informer.kind, obj) for informer in self._informers.values() for obj in informer.find(_BY_OWNER, uid)]

    def is_empty(self, namespace: str) -> bool:
        """Whether nothing is in a namespace, Events apart."""
        return not any(informer.find(_BY_NAMESPACE, namespace) for informer in self._informers.values())

    def kind_of(self, reference: Obj) -> Kind | None:
        """The kind that an owner reference names, or ``None`` for one that is not served here."""
        for kind in self.kinds:
            if kind.kind == reference.get("kind") and kind.api_version == reference.get("apiVersion"):
                return kind
        return None

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run())


def item_of(kind: Kind, obj: Obj) -> Item:
    """What names an object among all kinds."""
    return Item(kind, key_of(obj))
