"""A clock that stands still until told, and ids that count."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """`kedge.kube.clock.Clock` for tests: time passes only in `advance`.

    Examples:
        >>> clock = FakeClock()
        >>> clock.now().year
        2026
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The time that the test made it."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody advances the clock so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), waiter))
        await waiter

    def sleeping(self) -> int:
        """How many wait."""
        return sum(1 for *_, waiter in self._sleepers if not waiter.done())

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking sleepers in the order of their times, and let what they start run."""
        await settle()  # what was just started may be about to sleep
        until = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, waiter = heapq.heappop(self._sleepers)
            if waiter.done():
                continue
            self._elapsed = at
            waiter.set_result(None)
            await settle()
        self._elapsed = until
        await settle()


async def settle(turns: int = 20) -> None:
    """Let everything that can run on the event loop run, for a number of turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeIds:
    """`kedge.kube.clock.Ids` for tests: the first id is the same in each test, and so is the second."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def uid(self) -> str:
        """A UUID that counts."""
        return f"00000000-0000-4000-8000-{next(self._count):012d}"

    def suffix(self, length: int = 5) -> str:
        """Digits that count."""
        return f"{next(self._count):0{length}d}"[-length:]

    def token(self, size: int = 32) -> str:
        """A word that counts."""
        return f"token-{next(self._count):0{size}d}"
