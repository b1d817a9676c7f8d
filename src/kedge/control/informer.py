"""A local, current copy of some objects, and who hears of their changes.

An informer lists once and then watches. When the watch ends, for any reason, it goes on from the last revision it saw; when that
is too old it lists again and tells the difference, so that a handler never misses that an object is gone. What it holds are the
objects that the client gave: treat them as read-only.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Self

from kedge import errors
from kedge.client.types import Reader, WatchEvent, pages
from kedge.kube.clock import Clock
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, key_of

_log = logging.getLogger(__name__)
# Whoever looks at a run is told within 10 seconds what Kubernetes knows, also when the server was away for longer than that.
_LAST_DELAY = 5.0

Handler = Callable[[Obj | None, Obj | None], None]
Indexer = Callable[[Obj], Iterable[Hashable]]


def _as_it_is(obj: Obj) -> Obj:
    return obj


class Informer:
    """The objects of one kind that match.

    Args:
        client: Where from.
        kind: Which kind.
        clock: For pauses between attempts when the server cannot be reached.
        namespace: ``None`` for all.
        labels: A label selector.
        fields: A field selector.
    """

    def __init__(
        self,
        client: Reader,
        kind: Kind,
        clock: Clock,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
    ) -> None:
        self.kind = kind
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._labels, self._fields = labels, fields
        self._keep = _as_it_is
        self._objects: dict[Key, Obj] = {}
        self._handlers: list[Handler] = []
        self._indexers: dict[str, Indexer] = {}
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {}
        self._version = ""
        self._failures = 0
        self._expired = 0
        self._synced = asyncio.Event()

    def keeping(self, part: Callable[[Obj], Obj]) -> Self:
        """Hold only a part of each object, and tell handlers of that; to be called before `run`."""
        self._keep = part
        return self

    def on_change(self, handler: Handler) -> None:
        """Call ``handler(old, new)`` for each change: ``old`` is ``None`` for a new object, ``new`` for one that is gone.

        Objects already held are told at once, as new. A handler is quick, and does not raise.
        """
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    def index(self, name: str, indexer: Indexer) -> None:
        """Keep objects findable by what ``indexer`` returns for them; see `find`."""
        self._indexers[name] = indexer
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._enter(name, key, obj)

    def get(self, key: Key) -> Obj | None:
        """One object, or ``None``."""
        return self._objects.get(key)

    def items(self, namespace: str | None = None) -> list[Obj]:
        """All objects, or those of a namespace."""
        if namespace is None:
            return list(self._objects.values())
        return [obj for key, obj in self._objects.items() if key.namespace == namespace]

    def find(self, index: str, value: Hashable) -> list[Obj]:
        """The objects that an index has under a value."""
        return [self._objects[key] for key in self._indexes[index].get(value, ())]

    def __len__(self) -> int:
        """How many objects are held."""
        return len(self._objects)

    async def synced(self) -> None:
        """Wait until everything that was there at the start is held and told."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except errors.Gone as gone:
                _log.debug("objects are listed again", extra={"resource": self.kind.resource, "error": str(gone)})
                self._version = ""
                if self._expired:  # a server that forgets faster than we can read is not asked without a pause
                    await self._clock.sleep(_delay(self._expired))
                self._expired += 1
            except errors.ApiError as error:
                delay = _delay(self._failures)
                self._failures += 1
                level = logging.WARNING if self._failures == 1 else logging.DEBUG
                about = {"resource": self.kind.resource, "error": str(error), "seconds": round(delay, 1)}
                _log.log(level, "objects cannot be followed; trying again", extra=about)
                await self._clock.sleep(delay)

    async def _list(self) -> None:
        found, version = await self._read()
        for key in [key for key in self._objects if key not in found]:
            self._put(key, None)
        for key, obj in found.items():
            self._put(key, obj)
        self._version = version
        self._failures = 0
        self._synced.set()

    async def _read(self) -> tuple[dict[Key, Obj], str]:
        """Everything that is there now, and where a watch goes on from."""
        found = dict[Key, Obj]()
        version = ""
        try:
            async for page in pages(self._client, self.kind, self._namespace, labels=self._labels, fields=self._fields):
                version = page.resource_version
                for obj in page.items:
                    kept = self._keep(obj)
                    found[key_of(kept)] = kept
        except errors.Gone:
            if not found:
                raise
            # The pages took longer than the server remembers: all in one answer cannot.
            page = await self._client.list(self.kind, self._namespace, labels=self._labels, fields=self._fields)
            kept_now = [self._keep(obj) for obj in page.items]
            return {key_of(kept): kept for kept in kept_now}, page.resource_version
        return found, version

    async def _watch(self) -> None:
        events = self._client.watch(
            self.kind, self._namespace, resource_version=self._version, labels=self._labels, fields=self._fields
        )
        async for event in events:
            self._take(event)

    def _take(self, event: WatchEvent) -> None:
        self._version = event.object["metadata"]["resourceVersion"]
        self._failures = self._expired = 0
        if event.type == "BOOKMARK":
            return
        obj = self._keep(event.object)
        self._put(key_of(obj), None if event.type == "DELETED" else obj, gone=obj)

    def _put(self, key: Key, new: Obj | None, *, gone: Obj | None = None) -> None:
        old = self._objects.get(key)
        if old is None and new is None:
            return
        if old is not None and new is not None and _version(old) == _version(new):
            return
        if old is not None and new is not None and _uid(old) != _uid(new):
            # Deleted and made anew between two looks: two objects, whose handlers must not take them for one.
            self._put(key, None)
            old = None
        for name in self._indexers:
            if old is not None:
                self._leave(name, key, old)
            if new is not None:
                self._enter(name, key, new)
        if new is None:
            del self._objects[key]
            old = gone or old
        else:
            self._objects[key] = new
        for handler in self._handlers:
            handler(old, new)

    def _enter(self, name: str, key: Key, obj: Obj) -> None:
        index = self._indexes[name]
        for value in self._indexers[name](obj):
            index.setdefault(value, {})[key] = None

    def _leave(self, name: str, key: Key, obj: Obj) -> None:
        index = self._indexes[name]
        for value in self._indexers[name](obj):
            keys = index.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del index[value]


def _delay(failures: int) -> float:
    return min(0.1 * 2.0 ** min(failures, 16), _LAST_DELAY)


def _version(obj: Obj) -> Any:
    return obj["metadata"].get("resourceVersion")


def _uid(obj: Obj) -> Any:
    return obj["metadata"].get("uid")
