"""Things to do later: one sleeping task for all of them, none while nothing is due."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable

from kedge.kube.clock import Clock


class Timers:
    """Calls functions at their times.

    Args:
        clock: Which time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Hashable]] = []
        self._calls: dict[Hashable, tuple[int, Callable[[], object]]] = {}
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Seconds that have passed, on the clock that is waited by."""
        return self._clock.monotonic()

    def after(self, seconds: float, key: Hashable, call: Callable[[], object]) -> None:
        """Call a function once, in so many seconds; a later word about the same key replaces it.

        Args:
            seconds: From now; not above zero means at the loop's next turn.
            key: What it is about.
            call: Quick, and does not raise.
        """
        number, at = next(self._order), self._clock.monotonic() + max(0.0, seconds)
        self._calls[key] = (number, call)
        if not self._heap or at < self._heap[0][0]:
            self._changed.set()  # whoever sleeps does so until the first of them, or until that was another's turn
        heapq.heappush(self._heap, (at, number, key))

    def pending(self, key: Hashable) -> bool:
        """Whether something is still to be called for a key."""
        return key in self._calls

    def cancel(self, key: Hashable) -> None:
        """Do not call; harmless when there is nothing."""
        self._calls.pop(key, None)

    async def run(self) -> None:
        """Call what is due, until cancelled."""
        while True:
            self._changed.clear()
            delay = self._fire()
            if delay is None:
                await self._changed.wait()
                continue
            sleeper = asyncio.ensure_future(self._clock.sleep(delay))
            waiter = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({sleeper, waiter}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                waiter.cancel()

    def _fire(self) -> float | None:
        """Call what is due; seconds until the next, ``None`` when there is none."""
        now = self._clock.monotonic()
        while self._heap:
            at, number, key = self._heap[0]
            found = self._calls.get(key)
            if found is None or found[0] != number:
                heapq.heappop(self._heap)
                continue
            if at > now:
                return at - now
            heapq.heappop(self._heap)
            del self._calls[key]
            found[1]()
        return None
