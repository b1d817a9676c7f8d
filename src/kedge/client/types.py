"""The client's contract: `Reader`, `Writer`, and `Client`, which is both.

Two implementations stand behind it: `kedge.client.local` calls the embedded server in process, `kedge.client.http` speaks to any
Kubernetes API server. A controller is given the powers that it needs and no more.

Rules that both keep:
- Objects are plain JSON dicts. What you are given may be shared: copy before changing it.
- ``update`` needs ``metadata.resourceVersion`` and raises `errors.Conflict` when it is not the newest.
- ``watch`` yields every change after ``resource_version``, in order, each once; it raises `errors.Gone` when that is too old.
- Errors are the classes of `kedge.errors`, by meaning.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kedge import errors
from kedge.kube.kinds import Kind, Obj

PatchType = Literal["json", "merge", "strategic"]
Patch = Mapping[str, Any] | list[Any]  # a list is a JSON patch
Propagation = Literal["Background", "Foreground", "Orphan"]

_PAGE = 200  # objects that are held at once where all of them are looked at


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        items: The objects.
        resource_version: Where to start a watch that misses nothing.
        continue_: Token of the next page, or ``None`` at the end.
        remaining: How many objects come after it; ``None`` where that is not known.
    """

    items: list[Obj]
    resource_version: str
    continue_: str | None = None
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change.

    Attributes:
        type: ``ADDED``, ``MODIFIED``, ``DELETED``, or ``BOOKMARK`` (the object then has only ``metadata.resourceVersion``).
        object: The object after the change, or as it was when it was deleted.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Obj


class Reader(Protocol):
    """Reads objects."""

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object; raises `errors.NotFound`."""
        ...

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
        """Read objects of one namespace, or of all when it is ``None``.

        Args:
            kind: The kind.
            namespace: ``None`` for all.
            labels: A label selector, such as ``app=x,tier in (a,b)``.
            fields: A field selector, such as ``status.phase!=Succeeded``.
            limit: Objects a page; 0 for all at once.
            continue_: The token of the page before.
        """
        ...

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes after ``resource_version`` until cancelled. An object that stops matching is seen as ``DELETED``."""
        ...


async def pages(
    reader: Reader, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
) -> AsyncIterator[Page]:
    """Read a list a page at a time: the first page has one, and all show the same moment. Arguments as of `Reader.list`."""
    token: str | None = None
    while True:
        page = await reader.list(kind, namespace, labels=labels, fields=fields, limit=_PAGE, continue_=token)
        yield page
        token = page.continue_
        if token is None:
            return


async def get_or_none(reader: Reader, kind: Kind, name: str, namespace: str | None = None) -> Obj | None:
    """Read one object; ``None`` where it is not there. Arguments as of `Reader.get`."""
    try:
        return await reader.get(kind, name, namespace)
    except errors.NotFound:
        return None


class Writer(Protocol):
    """Changes objects."""

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object; raises `errors.AlreadyExists`.

        With ``subresource`` and ``name`` posts to that path instead, as ``serviceaccounts/NAME/token`` wants; the namespace is
        ``obj["metadata"]["namespace"]`` in either case.
        """
        ...

    async def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object; raises `errors.Conflict` when ``resourceVersion`` is stale."""
        ...

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
        ...

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
        """Delete an object, or start to: with finalizers left (or, for a Pod, a grace period) it gets a deletionTimestamp.

        Args:
            kind: The kind.
            name: The object's name.
            namespace: Its namespace.
            uid: Refuse with `errors.Conflict` when the object has another one.
            grace_period: Seconds a Pod has to end; ``None`` for its own.
            propagation: What becomes of objects that it owns.

        Returns:
            The object as it now is, or ``None`` when it is gone.
        """
        ...


class Client(Reader, Writer, Protocol):
    """Reads and writes."""
