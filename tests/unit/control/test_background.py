"""Work that nobody waits for is held until it is done, and heard of when it fails."""

import asyncio
import gc
import logging

import pytest

from kedge.control.background import Background


async def test_work_is_held_until_it_is_done_and_waited_for() -> None:
    background, done, go = Background("test"), list[int](), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.append(1)

    background.start(work())
    await asyncio.sleep(0)
    gc.collect()
    go.set()
    await background.finish()
    assert done == [1]


async def test_what_fails_is_logged_with_its_part_and_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    background = Background("test")

    async def fail() -> None:
        raise ValueError("on purpose")

    background.start(fail())
    await background.finish()
    (record,) = caplog.records
    assert (record.levelno, record.__dict__["part"]) == (logging.ERROR, "test")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "on purpose"


async def test_what_is_stopped_is_over_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    background = Background("test")
    task = background.start(asyncio.Event().wait())  # pyright: ignore[reportArgumentType]  # what it returns is of no interest
    await background.stop()
    assert task.cancelled()
    assert caplog.records == []
