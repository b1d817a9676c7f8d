"""Answers that are good for a while: bounded in time and in number."""

from typing import Generic, TypeVar

from kedge.kube.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Keeps values by key, each for its time.

    Args:
        clock: Tells the time.
        most: How many; those that were kept first go first.
    """

    def __init__(self, clock: Clock, most: int = 4096) -> None:
        self._clock = clock
        self._most = most
        self._kept: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """What was kept under a key, while it is good."""
        until, value = self._kept.get(key, (0.0, None))
        return value if self._clock.monotonic() < until else None

    def keep(self, key: K, value: V, seconds: float) -> None:
        """Keep a value for so long."""
        self._kept.pop(key, None)
        self._kept[key] = self._clock.monotonic() + seconds, value  # the youngest last
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
