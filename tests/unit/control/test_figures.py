"""Figures are counted when somebody asks, not more often than is worth it, and have an age."""

from kedge.control.figures import Counted, Figure
from kedge.errors import Unavailable
from kedge.testing.clock import START, FakeClock


async def test_a_figure_is_counted_when_somebody_asks_and_again_when_it_is_old() -> None:
    clock, counts = FakeClock(), list[int]()

    async def count() -> int:
        counts.append(len(counts))
        return counts[-1]

    figure = Figure("things", count, clock, seconds=10)
    assert counts == []
    first = await figure.known()
    assert first == Counted(0, START)
    assert await figure.known() == first
    await clock.advance(10)
    assert await figure.known() == first, "what is there is told at once"
    await clock.advance(0)
    second = await figure.known()
    assert second is not None
    assert second.value == 1
    assert first is not None
    assert second.at > first.at
    await figure.stop()


async def test_what_takes_long_to_count_is_told_when_it_is_counted_and_counted_seldom() -> None:
    clock, counts = FakeClock(), list[int]()

    async def count() -> int:
        counts.append(len(counts))
        await clock.sleep(5)
        return counts[-1]

    figure = Figure("many things", count, clock, seconds=10)
    assert await figure.known() is None
    await clock.advance(5)
    found = await figure.known()
    assert found is not None
    await clock.advance(400)
    assert await figure.known() == found
    assert counts == [0]
    await clock.advance(200)
    await figure.known()
    await clock.advance(0)
    assert counts == [0, 1]
    await figure.stop()


async def test_a_count_that_fails_leaves_the_figure_as_it_was() -> None:
    clock, away = FakeClock(), list[bool]()

    async def count() -> int:
        if away:
            raise Unavailable("the database is away")
        return 7

    figure = Figure("things", count, clock, seconds=10)
    first = await figure.known()
    away.append(True)
    await clock.advance(20)
    await figure.known()
    await clock.advance(0)
    assert await figure.known() == first
    await figure.stop()
