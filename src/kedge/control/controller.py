"""Runs a reconciler: takes keys from a queue, looks, plans, applies; again when something changes.

`Controller` is the loop around any function from a key to a wish for another look. `Reconciler` is how most are written:
`observe` reads, `desire` is a plain function of what was seen and the time, and `kedge.control.apply` alone writes. A reconciler
gets a key, never an event: what it decides depends on how things are, not on how they came to be so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from kedge import errors
from kedge.client.types import Client, Reader
from kedge.control.apply import Plan, apply
from kedge.control.informer import Informer
from kedge.control.queue import ShutDown, WorkQueue
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj

_log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
S = TypeVar("S")


class Reconciler(Protocol[K_contra, S]):
    """One control loop."""

    async def observe(self, reader: Reader, key: K_contra) -> S | None:
        """Read everything that the decision needs; ``None`` when there is nothing to decide (the object is gone)."""
        ...

    def desire(self, seen: S, now: datetime) -> Plan:
        """Decide. No clock, no reads, no writes: the same input gives the same plan."""
        ...


async def reconcile(reconciler: Reconciler[K, S], client: Client, key: K, now: datetime) -> tuple[int, float | None]:
    """One pass.

    Returns:
        The writes it took, and the seconds after which to look again.
    """
    seen = await reconciler.observe(client, key)
    if seen is None:
        return 0, None
    plan = reconciler.desire(seen, now)
    return await apply(client, plan), plan.requeue_after


class Controller(Generic[K]):
    """A queue of keys and the workers that handle them.

    Args:
        name: For messages.
        handle: Handles a key; returns the seconds after which to look again, or ``None``. What it raises is logged, and the key
            is tried again later.
        clock: For delays.
        workers: Keys handled at once.
    """

    def __init__(self, name: str, handle: Callable[[K], Awaitable[float | None]], clock: Clock, *, workers: int = 1) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue(clock)
        self._handle = handle
        self._workers = workers
        self._informers: list[Informer] = []

    @classmethod
    def of(cls, name: str, reconciler: Reconciler[K, S], client: Client, clock: Clock, *, workers: int = 1) -> "Controller[K]":
        """A controller that runs a reconciler."""

        async def handle(key: K) -> float | None:
            _, again = await reconcile(reconciler, client, key, clock.now())
            return again

        return cls(name, handle, clock, workers=workers)

    def follow(self, informer: Informer, keys: Callable[[Obj | None, Obj | None], Iterable[K]]) -> None:
        """Handle the keys that ``keys(old, new)`` names for each change that an informer sees.

        The workers start when all followed informers are synced.
        """
        self._informers.append(informer)

        def changed(old: Obj | None, new: Obj | None) -> None:
            for key in keys(old, new):
                self.queue.add(key)

        informer.on_change(changed)

    async def run(self) -> None:
        """Work until cancelled, or until the queue is shut down and empty. The informers are run by whoever made them."""
        for informer in self._informers:
            await informer.synced()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._workers):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.take()
            except ShutDown:
                return
            try:
                await self._one(key)
            finally:
                self.queue.done(key)
            if self.queue:
                # A handler that never waits must not keep the event loop while a thousand keys are ready.
                await asyncio.sleep(0)

    async def _one(self, key: K) -> None:
        try:
            again = await self._handle(key)
        except errors.Conflict as conflict:
            _log.debug("looking again", extra={"controller": self.name, "key": str(key), "error": str(conflict)})
            self.queue.retry(key)
        except errors.KedgeError as error:
            first = self.queue.failures(key) == 0
            delay = self.queue.retry(key)
            about = {"controller": self.name, "key": str(key), "error": str(error), "seconds": round(delay, 2)}
            _log.log(logging.WARNING if first else logging.DEBUG, "not done; trying again", extra=about)
        except Exception:  # noqa: BLE001  # logged, with its traceback, the first time
            # A defect in the handling of one key must not stop the others.
            first = self.queue.failures(key) == 0
            self.queue.retry(key)
            if first:
                _log.exception("a defect; please report it. It is tried again.", extra={"controller": self.name, "key": str(key)})
            else:
                _log.debug("failed again", extra={"controller": self.name, "key": str(key)}, exc_info=True)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)
