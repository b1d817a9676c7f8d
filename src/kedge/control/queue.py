"""The work queue: which keys need another look.

What it promises, as client-go's queue does:
- A key that is added while it waits is handled once.
- A key is never handled by two workers at once; added while it is handled, it is handled once more afterwards.
- Keys are handled in the order in which they were added.
- A key that failed waits longer each time, alone; others do not wait for it.

It takes a clock, and has a timer only while something is due later: an idle queue costs nothing.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kedge.kube.clock import Clock
from kedge.measures import Counter, Histogram

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):
    """The queue was shut down and is empty; a worker ends."""


class WorkQueue(Generic[K]):
    """Keys to handle.

    Args:
        clock: For delays.
        first_delay: Seconds before the first retry of a key; doubles with each failure.
        last_delay: Seconds that a retry waits at most.

    Attributes:
        added: How many keys were put in.
        retried: How many were put in again after a failure.
        waited: How long keys waited to be taken.
        worked: How long they were worked on.
    """

    def __init__(self, clock: Clock, *, first_delay: float = 0.01, last_delay: float = 60.0) -> None:
        self._clock = clock
        self._first_delay = first_delay
        self._last_delay = last_delay
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._active: set[K] = set()
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0
        self._closed = False
        self._since: dict[K, float] = {}
        self.added, self.retried = Counter(), Counter()
        self.waited, self.worked = Histogram(), Histogram()

    @property
    def active(self) -> int:
        """Keys that are worked on."""
        return len(self._active)

    def __len__(self) -> int:
        """Keys that are ready to be taken."""
        return len(self._ready)

    def add(self, key: K) -> None:
        """Have a key handled, soon."""
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        self.added.add()
        if key not in self._active:
            self._since[key] = self._clock.monotonic()
            self._ready.append(key)
            self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key handled in a while; of several such wishes the earliest counts."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        at = self._clock.monotonic() + seconds
        if at >= self._due.get(key, float("inf")):
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        self._arm()

    def retry(self, key: K) -> float:
        """Have a key handled again after a failure, later each time.

        Returns:
            Seconds until then.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retried.add()
        delay = min(self._first_delay * 2.0 ** min(failures, 32), self._last_delay)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """A key went well: its next failure waits the shortest time again."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often a key failed since it last went well."""
        return self._failures.get(key, 0)

    async def take(self) -> K:
        """The next key; `done` must be called for it.

        Raises:
            ShutDown: There will be no more.
        """
        while not self._ready:
            if self._closed:
                raise ShutDown
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # the turn that was given to this worker goes to another
                else:
                    self._waiters.remove(waiter)
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._active.add(key)
        now = self._clock.monotonic()
        self.waited.observe(now - self._since.get(key, now))
        self._since[key] = now
        return key

    def done(self, key: K) -> None:
        """A worker is finished with a key."""
        self._active.discard(key)
        now = self._clock.monotonic()
        self.worked.observe(now - self._since.pop(key, now))
        if key in self._dirty:
            self._since[key] = now
            self._ready.append(key)
            self._wake()

    def shutdown(self) -> None:
        """Take no more keys; workers end when those that wait are handled. Delayed ones are dropped."""
        self._closed = True
        self._due.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        at = self._heap[0][0]
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().create_task(self._wait(at))

    async def _wait(self, at: float) -> None:
        await self._clock.sleep(max(0.0, at - self._clock.monotonic()))
        self._timer = None
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        if self._heap:
            self._arm()
