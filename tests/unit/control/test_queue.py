"""The work queue's promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.control.queue import ShutDown, WorkQueue
from kedge.testing.clock import FakeClock, settle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def queue(clock: FakeClock) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue[str](clock, first_delay=1.0, last_delay=5.0)
    yield queue
    queue.shutdown()


async def test_keys_come_in_order_each_once(queue: WorkQueue[str]) -> None:
    for key in "abcab":
        queue.add(key)
    assert len(queue) == 3
    assert [await queue.take() for _ in "abc"] == ["a", "b", "c"]


async def test_a_key_is_never_handled_twice_at_once(queue: WorkQueue[str]) -> None:
    """Added while it is handled, it comes once more when that is done."""
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_waiting_worker_is_woken(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    await settle(2)
    assert worker.result() == "a"


async def test_a_cancelled_worker_gives_its_turn_away(queue: WorkQueue[str]) -> None:
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    first.cancel()
    await settle()
    assert second.result() == "a"
    third = asyncio.create_task(queue.take())
    await settle()
    third.cancel()
    await settle()
    assert third.cancelled()


async def test_delayed_keys_come_when_they_are_due(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("late", 10)
    queue.add_after("soon", 1)
    queue.add_after("soon", 5)
    queue.add_after("now", 0)
    assert len(queue) == 1
    await clock.advance(1)
    assert [await queue.take(), await queue.take()] == ["now", "soon"]
    queue.done("soon")
    await clock.advance(8.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.take() == "late"


async def test_the_earliest_of_several_delays_counts(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    await clock.advance(2)
    assert await queue.take() == "a"
    queue.done("a")
    await clock.advance(20)
    assert len(queue) == 0


async def test_failures_wait_longer_each_time_and_alone(queue: WorkQueue[str]) -> None:
    assert [queue.retry("a") for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert queue.retry("b") == 1.0
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a") == 1.0


async def test_an_idle_queue_has_no_timer(queue: WorkQueue[str], clock: FakeClock) -> None:
    """Nothing wakes the process while nothing is due."""
    queue.add("a")
    await queue.take()
    queue.done("a")
    queue.add_after("b", 3)
    await settle()
    assert clock.sleeping() == 1
    await clock.advance(3)
    assert clock.sleeping() == 0


async def test_shutdown_lets_workers_finish_what_waits(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add_after("b", 1)
    idle = asyncio.create_task(WorkQueue.take(queue))
    await settle()
    assert idle.result() == "a"
    waiting = asyncio.create_task(queue.take())
    await settle()
    queue.shutdown()
    queue.add("c")
    await settle()
    with pytest.raises(ShutDown):
        waiting.result()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "after", "step"]), st.integers(0, 3)), max_size=40), st.integers(1, 3))
async def test_every_wish_is_fulfilled_and_never_two_at_once(wishes: list[tuple[str, int]], workers: int) -> None:
    """After each wish for a key there is a handling that began later; no key is handled twice at once."""
    clock = FakeClock()
    queue = WorkQueue[int](clock)
    active = set[int]()
    wished, begun = dict[int, int](), dict[int, int]()
    moment = 0

    async def work() -> None:
        nonlocal moment
        while True:
            try:
                key = await queue.take()
            except ShutDown:
                return
            assert key not in active
            active.add(key)
            moment += 1
            begun[key] = moment
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            active.discard(key)
            queue.done(key)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for wish, key in wishes:
        moment += 1
        if wish == "step":
            await settle(1)
        else:
            wished[key] = moment
            queue.add(key) if wish == "add" else queue.add_after(key, key)
    await clock.advance(10)
    queue.shutdown()
    await asyncio.gather(*tasks)
    assert all(begun.get(key, 0) > when for key, when in wished.items())
