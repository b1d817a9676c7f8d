"""A client in front of another one: it passes everything on, and its subclasses change what they must."""

from collections.abc import AsyncIterator

from kedge.client.types import Client, Page, Patch, PatchType, Propagation, WatchEvent
from kedge.kube.kinds import Kind, Obj


class ForwardingClient:
    """`kedge.client.types.Client` that does nothing itself.

    Args:
        client: Does the work.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def before_write(self) -> None:
        """Called before each write; what it raises keeps the write from being sent."""

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object."""
        return await self._client.get(kind, name, namespace)

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
        return await self._client.list(kind, namespace, labels=labels, fields=fields, limit=limit, continue_=continue_)

    async def watch(
        self, kind: Kind, namespace: str | None = None, *, resource_version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes until cancelled."""
        events = self._client.watch(kind, namespace, resource_version=resource_version, labels=labels, fields=fields)
        async for event in events:
            yield event

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource."""
        self.before_write()
        return await self._client.create(kind, obj, name=name, subresource=subresource)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object."""
        self.before_write()
        return await self._client.update(kind, obj, subresource=subresource)

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
        self.before_write()
        return await self._client.patch(kind, name, namespace, patch, type=type, subresource=subresource)

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
        self.before_write()
        return await self._client.delete(kind, name, namespace, uid=uid, grace_period=grace_period, propagation=propagation)
