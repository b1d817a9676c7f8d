"""An alarm rings at the earliest of its times, also in a loop that is late."""

import asyncio
import threading

from kedge.control.alarm import Alarm

PATIENCE = 60
FAR = 10_000.0


class Heard:
    """An alarm, and how often it has rung."""

    def __init__(self) -> None:
        self.times = 0
        self._rung = asyncio.Event()
        self.alarm = Alarm(self._ring)

    def _ring(self) -> None:
        self.times += 1
        self._rung.set()

    async def next(self) -> int:
        """Wait until it rings; returns how often it has by then."""
        await asyncio.wait_for(self._rung.wait(), PATIENCE)
        self._rung.clear()
        return self.times


async def test_it_rings_at_the_earliest_of_its_times_and_once() -> None:
    heard = Heard()
    for seconds in (FAR, 0.01, 0.02, FAR):
        heard.alarm.set(seconds)
    assert await heard.next() == 1
    heard.alarm.set(0.05)  # after the 0.02, which was dropped
    assert await heard.next() == 2


async def test_a_time_that_is_over_before_the_loop_comes_to_it_is_not_put_off() -> None:
    heard = Heard()
    heard.alarm.set(0.01)
    threading.Event().wait(0.05)  # the loop is late
    heard.alarm.set(FAR)
    assert await heard.next() == 1


async def test_it_is_silent_once_cancelled_and_can_be_set_again() -> None:
    heard = Heard()
    heard.alarm.set(0.0)
    heard.alarm.cancel()
    await asyncio.sleep(0.05)
    assert heard.times == 0
    heard.alarm.set(-1.0)
    assert await heard.next() == 1
