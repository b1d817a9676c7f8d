# ruff: noqa: S101  # a test kit asserts
"""What every reconciler promises, as tests.

A reconciler's own test module inherits `ReconcilerConformance` and gives the fixture ``scenario``: a function that makes a fresh
`World` each time it is called.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kedge.client.types import Client
from kedge.server.api import Api
from kedge.testing.api import Stopped, StoppingClient

_PASSES = 30
_WRITES = 200


@dataclass(slots=True)
class World:
    """One situation that a reconciler finds.

    Attributes:
        api: The server, with what is there at the start.
        one_pass: Runs the reconciler once over every key, through the client given.
        is_settled: Whether the world is as the reconciler must make it.
        close: Ends what the world started.
    """

    api: Api
    one_pass: Callable[[Client], Awaitable[None]]
    is_settled: Callable[[], bool]
    close: Callable[[], Awaitable[None]]


Scenario = Callable[[], Awaitable[World]]


class ReconcilerConformance:
    """The rules of design section 4, one test each."""

    async def test_it_converges_and_then_writes_nothing(self, scenario: Scenario) -> None:
        """At the fixed point another pass makes no write."""
        world = await scenario()
        await _converge(world)
        await world.close()

    async def test_stopped_between_any_two_writes_it_converges(self, scenario: Scenario) -> None:
        """A process killed after any number of writes leaves nothing that the next one cannot finish."""
        for allowed in range(_WRITES):
            world = await scenario()
            stopped = await _run_until_stopped(world, allowed)
            await _converge(world)
            await world.close()
            if not stopped:
                return
        raise AssertionError(f"more than {_WRITES} writes: make the scenario smaller")


async def _run_until_stopped(world: World, allowed: int) -> bool:
    client = StoppingClient(world.api, allowed=allowed)
    try:
        for _ in range(_PASSES):
            await world.one_pass(client)
    except Stopped:
        return True
    return False


async def _converge(world: World) -> None:
    for _ in range(_PASSES):
        client = StoppingClient(world.api)
        await world.one_pass(client)
        if client.writes == 0:
            assert world.is_settled(), "a pass wrote nothing, but the world is not as it must be"
            return
    raise AssertionError(f"still writing after {_PASSES} passes")
