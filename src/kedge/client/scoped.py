"""A client that sees some namespaces only: what a hub is given that may read no others.

A list or a watch of *all* namespaces becomes one of each of its own. Everything else is passed on: it names its namespace, and
the API server says whether that is allowed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from kedge import errors
from kedge.client.forwarding import ForwardingClient
from kedge.client.types import Client, Page, WatchEvent
from kedge.kube.kinds import Kind, Obj

_BACKLOG = 1000  # changes that wait for a slow reader, over all namespaces


class ScopedClient(ForwardingClient):
    """`kedge.client.types.Client` for several namespaces.

    The version of a list of all of them is that of each, in their order and with commas between.

    Args:
        client: Does the work.
        namespaces: The ones that there are, as far as this client is concerned; at least one.
    """

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        super().__init__(client)
        self._namespaces = tuple(namespaces)

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
        """Read objects of one namespace, or of all that there are."""
        if namespace is not None or not kind.namespaced:
            return await super().list(kind, namespace, labels=labels, fields=fields, limit=limit, continue_=continue_)
        # The token says the versions of the namespaces that are read, and how far the next one is.
        read, _, inner = (continue_ or ":").partition(":")
        versions = read.split(",") if read else []
        found: list[Obj] = []
        version = ""
        while len(versions) < len(self._namespaces):
            place = self._namespaces[len(versions)]
            page = await self._client.list(kind, place, labels=labels, fields=fields, limit=limit, continue_=inner or None)
            found += page.items
            version = page.resource_version
            inner = page.continue_ or ""
            if not inner:
                versions.append(version)
            if limit:
                break
        more = len(versions) < len(self._namespaces)
        return Page(found, ",".join(versions) or version, f"{','.join(versions)}:{inner}" if more else None)

    async def watch(
        self, kind: Kind, namespace: str | None = None, *, resource_version: str, labels: str = "", fields: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes of one namespace, or of all that there are.

        Raises:
            Gone: The version is too old; also where one of several namespaces could not be followed for a while: a change says
                how far its own namespace has come, and nothing about that one.
        """
        if namespace is not None or not kind.namespaced or len(self._namespaces) == 1:
            only = namespace or (self._namespaces[0] if kind.namespaced else None)
            async for event in self._client.watch(kind, only, resource_version=resource_version, labels=labels, fields=fields):
                yield event
            return
        versions = resource_version.split(",")
        if len(versions) != len(self._namespaces):
            raise errors.Gone(f"{resource_version} is no version of the namespaces {', '.join(self._namespaces)}.")
        each = [
            self._client.watch(kind, place, resource_version=version, labels=labels, fields=fields)
            for place, version in zip(self._namespaces, versions, strict=True)
        ]
        async with aclosing(_merged(each)) as changes:
            async for event in changes:
                yield event


async def _merged(watches: Sequence[AsyncIterator[WatchEvent]]) -> AsyncGenerator[WatchEvent]:
    """The changes of several watches as they come; ends with the first that cannot go on."""
    changes: asyncio.Queue[WatchEvent | errors.ApiError] = asyncio.Queue(_BACKLOG)

    async def follow(events: AsyncIterator[WatchEvent]) -> None:
        try:
            async for event in events:
                if event.type != "BOOKMARK":  # how far one namespace has come says nothing about the others
                    await changes.put(event)
        except errors.ApiError as error:
            await changes.put(error)

    following = [asyncio.create_task(follow(events)) for events in watches]
    try:
        while not isinstance(change := await changes.get(), errors.ApiError):
            yield change
        raise errors.Gone(f"one of several namespaces could not be followed: {change}") from change
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
