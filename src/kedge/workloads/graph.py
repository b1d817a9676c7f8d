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
from kedge.kube.structural.kinds import kinds_of

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
        self._client, self._clock = client, clock
        self._informers = dict[str, Informer]()
        self._told = list[Callable[[Informer], None]]()
        self._starting: asyncio.TaskGroup | None = None
        self._running = dict[str, asyncio.Task[None]]()
        for kind in kinds:
            self.add(kind)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that are followed."""
        return tuple(informer.kind for informer in self._informers.values())

    @property
    def informers(self) -> tuple[Informer, ...]:
        """One for each kind."""
        return tuple(self._informers.values())

    def add(self, kind: Kind) -> None:
        """Follow a kind too, unless its objects are not stored."""
        if not {"delete", "list", "watch"} <= set(kind.verbs) or kind.resource == EVENT.resource or kind.form is not None:
            return
        informer = Informer(self._client, kind, self._clock).keeping(_metadata_only)
        informer.index(_BY_OWNER, lambda obj: [owner["uid"] for owner in owners(obj)])
        informer.index(_BY_UID, lambda obj: [uid_of(obj)])
        informer.index(_BY_NAMESPACE, lambda obj: [obj["metadata"].get("namespace") or ""])
        self._informers[kind.resource] = informer
        for told in self._told:
            told(informer)
        if self._starting is not None:
            self._running[kind.resource] = self._starting.create_task(informer.run())

    def remove(self, resource: str) -> None:
        """Follow a kind no longer; its objects are gone."""
        self._informers.pop(resource, None)
        if (task := self._running.pop(resource, None)) is not None:
            task.cancel()

    def follow(self, definitions: Informer) -> None:
        """Follow the kinds that users define as long as they are there.

        Args:
            definitions: Of CustomResourceDefinitions, whole; run by whoever made it.
        """

        def changed(old: Obj | None, new: Obj | None) -> None:
            name: str = (new or old or {})["metadata"]["name"]
            wanted = kinds_of(new)[:1] if new is not None else ()
            known = self._informers.get(name)
            if known is not None and (not wanted or known.kind.api_version != wanted[0].api_version):
                self.remove(name)
                known = None
            if wanted and known is None:
                self.add(wanted[0])

        definitions.on_change(changed)

    def on_informer(self, told: Callable[[Informer], None]) -> None:
        """Call ``told(informer)`` for each kind's, also of one that comes later."""
        self._told.append(told)
        for informer in self.informers:
            told(informer)

    def on_change(self, handler: Handler) -> None:
        """Call ``handler(kind, old, new)`` for each change."""
        self.on_informer(lambda informer: informer.on_change(lambda old, new, kind=informer.kind: handler(kind, old, new)))

    def find(self, uid: str) -> tuple[Kind, Obj] | None:
        """The object of a uid."""
        for informer in self._informers.values():
            for obj in informer.find(_BY_UID, uid):
                return informer.kind, obj
        return None

    def get(self, item: Item) -> Obj | None:
        """One object, as far as it is known."""
        informer = self._informers.get(item.kind.resource)
        return None if informer is None else informer.get(item.key)

    def dependents(self, uid: str) -> list[tuple[Kind, Obj]]:
        """The objects that name an owner."""
        return [(informer.kind, obj) for informer in self._informers.values() for obj in informer.find(_BY_OWNER, uid)]

    def is_empty(self, namespace: str, resource: str = "") -> bool:
        """Whether nothing is in a namespace, Events apart, or nothing of a resource."""
        looked_at = [self._informers[resource]] if resource in self._informers else self._informers.values()
        return not any(informer.find(_BY_NAMESPACE, namespace) for informer in looked_at)

    def kind_of(self, reference: Obj) -> Kind | None:
        """The kind that an owner reference names, or ``None`` for one that is not served here."""
        for kind in self.kinds:
            if kind.kind != reference.get("kind"):
                continue
            version = str(reference.get("apiVersion"))
            # Of a kind that users define, any version names the same object.
            if version == kind.api_version or (kind.structural and version.startswith(f"{kind.group}/")):
                return kind
        return None

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._starting = tasks
            try:
                for resource, informer in self._informers.items():
                    self._running[resource] = tasks.create_task(informer.run())
                await asyncio.get_running_loop().create_future()  # kinds that come later are followed too, until it is cancelled
            finally:
                self._starting = None


def item_of(kind: Kind, obj: Obj) -> Item:
    """What names an object among all kinds."""
    return Item(kind, key_of(obj))
