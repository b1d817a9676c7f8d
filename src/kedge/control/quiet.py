"""Work that nobody waits for goes when nothing else happens, but not for ever later."""

from kedge.kube.clock import Clock


class Quiet:
    """Waits for a moment in which nothing happens.

    Args:
        clock: Counts and waits.
        seconds: How long such a moment is.
        longest: Seconds after which it is waited for no more.
    """

    def __init__(self, clock: Clock, seconds: float, *, longest: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._longest = longest
        self._stirred_at = clock.monotonic()

    def stir(self) -> None:
        """Something happens now."""
        self._stirred_at = self._clock.monotonic()

    async def wait(self) -> None:
        """Wait, from now on."""
        until = self._clock.monotonic() + self._longest
        while (due := min(self._stirred_at + self._seconds, until)) > (now := self._clock.monotonic()):
            await self._clock.sleep(due - now)
