"""One timer that many set: it rings at the earliest of the times that it was set to."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once, at the earliest time that it was set to, and forgets the others: whoever hears it sets it anew.

    Args:
        ring: Called in the loop in which it was set.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Ring after so many seconds, if not earlier anyway; at once where they are negative."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, seconds)
        if self._timer is not None:
            # One that is due counts too: a busy loop has not come to it yet.
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._rings)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self._timer = None
        self._ring()
