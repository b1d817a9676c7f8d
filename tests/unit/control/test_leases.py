"""One leads, and nobody else writes: with a clock that is moved by hand, over the real server's Leases."""

import asyncio
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.control.leases import Election, Fenced
from kedge.errors import StateError, Unavailable
from kedge.kube.core import CONFIG_MAP, LEASE
from kedge.testing.api import memory_api
from kedge.testing.clock import FakeClock, settle

PLACE = ("default", "kedge")
CONFIG: dict[str, Any] = {"metadata": {"name": "written", "namespace": "default"}}


class Away(LocalClient):
    """A connection that can be cut."""

    cut = False

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        if self.cut:
            raise Unavailable("cut off")
        return await super().get(*args, **kwargs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client() -> Away:
    return Away(memory_api())


def election(client: Any, clock: FakeClock, identity: str) -> Election:
    return Election(client, clock, PLACE, identity)


async def holder(client: Any) -> str:
    return (await client.get(LEASE, "kedge", "default"))["spec"]["holderIdentity"]


async def test_the_first_leads_and_the_second_waits(client: Away, clock: FakeClock) -> None:
    first, second = election(client, clock, "a"), election(client, clock, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    keeping = asyncio.create_task(first.keep())
    for _ in range(30):
        await clock.advance(2)
    assert first.leads()
    assert not second.leads()
    assert not waiting.done()
    assert second.holder == "a"
    for task in (waiting, keeping):
        task.cancel()


async def test_who_lets_go_is_followed_at_the_next_look(client: Away, clock: FakeClock) -> None:
    first, second = election(client, clock, "a"), election(client, clock, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await settle()
    await first.release()
    assert not first.leads()
    await clock.advance(2)
    await waiting
    assert second.leads()
    lease = await client.get(LEASE, "kedge", "default")
    assert lease["spec"]["leaseTransitions"] == 1


async def test_who_dies_is_followed_when_the_lease_is_over_and_not_before(client: Away, clock: FakeClock) -> None:
    first, second = election(client, clock, "a"), election(client, clock, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await settle()
    for _ in range(7):
        await clock.advance(2)
        assert not waiting.done()
    await clock.advance(2)
    await waiting
    assert await holder(client) == "b"


async def test_a_leader_that_is_cut_off_stops_before_another_may_begin(clock: FakeClock) -> None:
    api = memory_api()
    near, far = LocalClient(api), Away(api)
    first, second = election(far, clock, "a"), election(near, clock, "b")
    await first.acquire()
    writer = Fenced(near, first)
    keeping, waiting = asyncio.create_task(first.keep()), asyncio.create_task(second.acquire())
    await settle()
    far.cut = True
    overlap = False
    for _ in range(20):
        await clock.advance(1)
        overlap = overlap or (first.leads() and second.leads())
    assert not overlap
    assert second.leads() or waiting.done()
    with pytest.raises(StateError, match="could not be renewed"):
        await keeping
    with pytest.raises(Unavailable, match="does not lead any more"):
        await writer.create(CONFIG_MAP, CONFIG)


async def test_a_process_that_was_held_up_writes_nothing_when_it_goes_on(client: Away, clock: FakeClock) -> None:
    """Its own tasks have not run yet: the fence looks at the clock itself."""
    leader = election(client, clock, "a")
    await leader.acquire()
    writer = Fenced(client, leader)
    await writer.create(CONFIG_MAP, CONFIG)
    await clock.advance(10)
    for write in (
        writer.create(CONFIG_MAP, CONFIG),
        writer.update(CONFIG_MAP, CONFIG),
        writer.patch(CONFIG_MAP, "written", "default", {}),
        writer.delete(CONFIG_MAP, "written", "default"),
    ):
        with pytest.raises(Unavailable, match="does not lead any more"):
            await write
    assert await writer.get(CONFIG_MAP, "written", "default")


async def test_a_lease_that_somebody_else_has_taken_ends_the_leader_at_once(client: Away, clock: FakeClock) -> None:
    leader = election(client, clock, "a")
    await leader.acquire()
    lease = await client.get(LEASE, "kedge", "default")
    await client.update(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": "z"}})
    keeping = asyncio.create_task(leader.keep())
    await settle()
    await clock.advance(2)
    with pytest.raises(StateError, match="is held by z"):
        await keeping
    assert not leader.leads()


async def test_letting_go_of_what_another_has_changes_nothing(client: Away, clock: FakeClock) -> None:
    leader = election(client, clock, "a")
    await leader.acquire()
    lease = await client.get(LEASE, "kedge", "default")
    await client.update(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": "z"}})
    await leader.release()
    assert await holder(client) == "z"
