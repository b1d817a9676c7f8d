"""Things to do later."""

import asyncio

from kedge.pipelines.timers import Timers
from kedge.testing.clock import FakeClock, settle


async def test_calls_come_at_their_times_in_their_order_and_once() -> None:
    clock, called = FakeClock(), list[str]()
    timers = Timers(clock)
    running = asyncio.create_task(timers.run())
    for seconds, name in ((3, "c"), (1, "a"), (2, "b")):
        timers.after(seconds, name, lambda name=name: called.append(name))
    await settle()
    await clock.advance(0.9)
    assert called == []
    await clock.advance(1.2)
    assert called == ["a", "b"]
    await clock.advance(10)
    assert called == ["a", "b", "c"]
    running.cancel()


async def test_a_later_word_about_the_same_key_replaces_it() -> None:
    clock, called = FakeClock(), list[str]()
    timers = Timers(clock)
    running = asyncio.create_task(timers.run())
    timers.after(1, "key", lambda: called.append("first"))
    timers.after(2, "key", lambda: called.append("second"))
    timers.after(1, "gone", lambda: called.append("gone"))
    timers.cancel("gone")
    assert (timers.pending("key"), timers.pending("gone")) == (True, False)
    await settle()
    await clock.advance(5)
    assert called == ["second"]
    assert not timers.pending("key")
    running.cancel()


async def test_what_is_due_at_once_is_called_and_may_ask_for_more() -> None:
    clock, called = FakeClock(), list[int]()
    timers = Timers(clock)
    running = asyncio.create_task(timers.run())

    def again() -> None:
        called.append(len(called))
        if len(called) < 3:
            timers.after(-1, "again", again)

    timers.after(0, "again", again)
    await settle()
    assert called == [0, 1, 2]
    running.cancel()
