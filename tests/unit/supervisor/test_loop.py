"""The event loop: what closes during a round is not called, and a defect ends nothing."""

import os

import pytest

from kedge.supervisor.loop import Loop


def test_a_number_that_was_given_away_in_the_same_round_is_not_mistaken() -> None:
    """Two descriptors are ready; the first one's callback closes the second, whose number a third then gets."""
    loop, called = Loop(), list[str]()
    first, second, third = os.pipe(), os.pipe(), os.pipe()
    for pipe in (first, second, third):
        os.write(pipe[1], b"x")

    def swap(own: tuple[int, int], other: tuple[int, int]) -> None:
        called.append("swap")
        loop.forget(own[0])
        loop.forget(other[0])
        os.dup2(third[0], other[0])
        loop.watch(other[0], lambda: (called.append("third"), loop.forget(other[0]), setattr(loop, "running", False)))

    loop.watch(first[0], lambda: swap(first, second))
    loop.watch(second[0], lambda: swap(second, first))
    loop.run()
    assert called == ["swap", "third"]


def test_a_defect_is_written_down_and_the_rest_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    loop = Loop()

    def broken() -> None:
        raise ValueError("a defect")

    loop.after(0, broken)
    loop.after(0.01, lambda: setattr(loop, "running", False))
    loop.run()
    assert "ValueError: a defect" in capfd.readouterr().err


def test_times_come_in_their_order() -> None:
    loop, called = Loop(), list[int]()
    for number in (3, 1, 2):
        loop.after(number / 1000, lambda number=number: called.append(number))
    loop.after(0.02, lambda: setattr(loop, "running", False))
    loop.run()
    assert called == [1, 2, 3]
