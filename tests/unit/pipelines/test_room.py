"""How many Pods may wait for a node at once."""

from kedge.pipelines.worker import PATIENCE, Room
from kedge.testing.clock import FakeClock


def test_there_is_room_for_so_many_and_again_when_one_begins() -> None:
    woken = list[str]()
    room = Room(FakeClock(), 2)
    room.take("ns", "a")
    assert room.free()
    room.take("ns", "b")
    assert not room.free()
    room.ask("run", lambda: woken.append("run"))
    room.give("ns", "unknown")
    assert woken == []
    room.give("ns", "a")
    assert woken == ["run"]
    room.give("ns", "b")
    assert woken == ["run"], "called once"
    assert room.free()


def test_no_more_are_woken_than_there_is_room_for_and_who_asked_first_comes_first() -> None:
    woken = list[str]()
    room = Room(FakeClock(), 2)
    room.take("ns", "a")
    room.take("ns", "b")
    for run in ("first", "second", "third"):
        room.ask(run, lambda run=run: woken.append(run))
    room.offer()
    assert woken == []
    room.give("ns", "a")
    assert woken == ["first"]
    room.offer()  # the first needs none after all
    assert woken == ["first", "second"]


async def test_a_pod_that_no_node_takes_does_not_keep_others_out_for_ever() -> None:
    clock = FakeClock()
    room = Room(clock, 1)
    room.take("ns", "a")
    await clock.advance(PATIENCE - 1)
    assert not room.free()
    await clock.advance(2)
    assert room.free()
