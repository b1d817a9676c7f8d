"""The in-process client: the embedded server's verbs without HTTP.

The server works on the event loop's thread (a write is a tenth of a millisecond), so that a call here never suspends unless a
webhook is asked, and what a controller reads after writing is what it wrote.
A watch is fed by the write itself: its consumer runs one turn of the loop
later. A consumer that stays more than `BACKLOG` changes behind is told `errors.Gone` and lists again; memory stays bounded.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from kedge import errors
from kedge.client.status import of_patch
from kedge.client.types import Page, Patch, PatchType, Propagation, WatchEvent
from kedge.kube.kinds import Kind, Obj

BACKLOG = 4096


class Backend(Protocol):
    """What the server offers in process: the client's verbs as plain calls on the loop's thread, arguments and errors alike."""

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object."""
        ...

    def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str | None = None,
    ) -> Page:
        """Read objects."""
        ...

    async def creating(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource of ``name``."""
        ...

    async def updating(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object."""
        ...

    async def patching(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        patch: Patch,
        *,
        type: PatchType = "merge",  # noqa: A002  # the API's own word
        subresource: str | None = None,
    ) -> Obj:
        """Change parts of an object."""
        ...

    async def deleting(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
    ) -> Obj | None:
        """Delete an object, or start to."""
        ...

    def subscribe(
        self,
        kind: Kind,
        namespace: str | None,
        callback: Callable[[WatchEvent], None],
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> Callable[[], None]:
        """Call back for every change after ``resource_version``, in order, on the loop's thread.

        Changes that were already made are told before this returns. The callback is quick and does not raise.

        Returns:
            Ends the subscription.

        Raises:
            Gone: ``resource_version`` is too old.
        """
        ...


class LocalClient:
    """`kedge.client.types.Client` on a server in the same process."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object."""
        return self._backend.get(kind, name, namespace)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str | None = None,
    ) -> Page:
        """Read objects of one namespace, or of all."""
        return self._backend.list(kind, namespace, labels=labels, fields=fields, limit=limit, continue_=continue_)

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource."""
        return await self._backend.creating(kind, obj, name=name, subresource=subresource)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object."""
        return await self._backend.updating(kind, obj, subresource=subresource)

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        patch: Patch,
        *,
        type: PatchType = "merge",  # noqa: A002  # the API's own word
        subresource: str | None = None,
    ) -> Obj:
        """Change parts of an object."""
        try:
            return await self._backend.patching(kind, name, namespace, patch, type=type, subresource=subresource)
        except errors.Invalid as error:
            raise of_patch(error) from error

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
    ) -> Obj | None:
        """Delete an object, or start to."""
        return await self._backend.deleting(kind, name, namespace, uid=uid, grace_period=grace_period, propagation=propagation)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes after ``resource_version`` until cancelled."""
        inbox = _Inbox()
        unsubscribe = self._backend.subscribe(
            kind, namespace, inbox.put, resource_version=resource_version, labels=labels, fields=fields
        )
        try:
            while True:
                yield await inbox.take()
        finally:
            unsubscribe()


class _Inbox:
    """What one watcher has not taken yet."""

    def __init__(self) -> None:
        self._events: deque[WatchEvent] = deque()
        self._filled = asyncio.Event()
        self._overflowed = False

    def put(self, event: WatchEvent) -> None:
        if self._overflowed:
            return
        if len(self._events) >= BACKLOG:
            self._overflowed = True
            self._events.clear()
        else:
            self._events.append(event)
        self._filled.set()

    async def take(self) -> WatchEvent:
        while not self._events:
            if self._overflowed:
                raise errors.Gone(f"this watch fell more than {BACKLOG} changes behind. List again and watch from there.")
            self._filled.clear()
            await self._filled.wait()
        return self._events.popleft()
