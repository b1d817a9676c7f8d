"""The real server over a store in memory: what tests of controllers run against."""

from collections.abc import Iterable

from kedge.client.forwarding import ForwardingClient
from kedge.client.local import LocalClient
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.kinds import Kind
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


class StoppingClient(ForwardingClient):
    """A client that counts writes, and stops before the one after ``allowed``.

    Args:
        api: The server.
        allowed: Writes that go through; ``None`` for all.
    """

    def __init__(self, api: Api, *, allowed: int | None = None) -> None:
        super().__init__(LocalClient(api))
        self.writes = 0
        self._allowed = allowed

    def before_write(self) -> None:
        """Count it, unless stopped."""
        if self._allowed is not None and self.writes >= self._allowed:
            raise Stopped
        self.writes += 1
