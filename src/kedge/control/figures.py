"""Figures that take long to count: counted in the background, only when somebody asks, and told with their age."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from kedge.control.background import Background
from kedge.errors import KedgeError
from kedge.kube.clock import Clock

_log = logging.getLogger(__name__)
_PATIENCE = 0.25  # seconds that who asks first waits for it; most are counted by then
_SHARE = 100  # what takes a second to count is counted again after a hundred
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """A figure.

    Attributes:
        value: What was counted.
        at: When.
    """

    value: T
    at: datetime


class Figure(Generic[T]):
    """Something that is counted now and then.

    Args:
        name: What it is, for the log.
        count: Counts it; raises `errors.KedgeError` or `OSError` where that is not possible now.
        clock: The time.
        seconds: For how long a count is good, at least.
    """

    def __init__(self, name: str, count: Callable[[], Awaitable[T]], clock: Clock, *, seconds: float) -> None:
        self._name = name
        self._count = count
        self._clock = clock
        self._seconds = seconds
        self._background = Background(name)
        self._counting: asyncio.Task[None] | None = None
        self._found: Counted[T] | None = None
        self._good_until = 0.0

    async def known(self) -> Counted[T] | None:
        """What was counted last; ``None`` where the first count is not done yet. One that is old is counted anew meanwhile."""
        if self._counting is None and self._clock.monotonic() >= self._good_until:
            self._counting = self._background.start(self._run())
            if self._found is None:
                await asyncio.wait({self._counting}, timeout=_PATIENCE)
        return self._found

    async def stop(self) -> None:
        """Count no more."""
        await self._background.stop()

    async def _run(self) -> None:
        begun = self._clock.monotonic()
        try:
            self._found = Counted(await self._count(), self._clock.now())
        except (KedgeError, OSError) as error:
            _log.warning("a figure could not be counted", extra={"figure": self._name, "error": str(error)})
        finally:
            now = self._clock.monotonic()
            self._good_until = now + max(self._seconds, _SHARE * (now - begun))
            self._counting = None
