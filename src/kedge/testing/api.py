"""The real server over a store in memory: what tests of controllers run against."""

from collections.abc import Iterable

from kedge.client.local import LocalClient
from kedge.client.types import Patch, PatchType, Propagation
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.server.api import Api
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds


def memory_api(
    kinds: Iterable[Kind] = KINDS,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
    namespaces: Iterable[str] = ("default",),
) -> Api:
    """A server with nothing in it but some Namespaces.

    Args:
        kinds: What it serves.
        clock: A fake one by default.
        ids: Fake ones by default.
        namespaces: Created at once.
    """
    api = Api(MemoryLog(), kinds, clock or FakeClock(), ids or FakeIds())
    for name in namespaces:
        api.create(NAMESPACE, {"metadata": {"name": name}})
    return api


class Stopped(Exception):  # what happened
    """The client was stopped before a write, as a killed process is."""


class StoppingClient(LocalClient):
    """A client that counts writes, and stops before the one after ``allowed``.

    Args:
        api: The server.
        allowed: Writes that go through; ``None`` for all.
    """

    def __init__(self, api: Api, *, allowed: int | None = None) -> None:
        super().__init__(api)
        self.writes = 0
        self._allowed = allowed

    def _count(self) -> None:
        if self._allowed is not None and self.writes >= self._allowed:
            raise Stopped
        self.writes += 1

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create, unless stopped."""
        self._count()
        return await super().create(kind, obj, name=name, subresource=subresource)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Update, unless stopped."""
        self._count()
        return await super().update(kind, obj, subresource=subresource)

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
        """Patch, unless stopped."""
        self._count()
        return await super().patch(kind, name, namespace, patch, type=type, subresource=subresource)

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
        """Delete, unless stopped."""
        self._count()
        return await super().delete(kind, name, namespace, uid=uid, grace_period=grace_period, propagation=propagation)
