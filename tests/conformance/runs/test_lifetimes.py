"""How long runs may take and their objects stay: by a clock that stands still until told, over restarts."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kedge.kube.core import POD
from kedge.pipelines.kinds import RUN
from kedge.testing import pipelines
from kedge.testing.clock import FakeClock
from kedge.testing.nodes import Ended, Step, raised
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(tmp_path: Path, clock: FakeClock) -> World:
    made = World.new(tmp_path / "world")
    made.clock = clock
    return made


def config(**seconds: int) -> dict[str, Any]:
    """What ``dsl.PipelineConfig`` makes."""
    return {"kubernetes": {"pipelineConfig": seconds}}


async def forever(step: Step) -> Ended:
    del step
    await asyncio.Event().wait()
    return Ended()


async def bad(step: Step) -> Ended:
    del step
    return raised("ValueError", "no such column")


async def pass_time(clock: FakeClock, holds: Callable[[], object]) -> None:
    """Let small waits of the hub's own pass, until a condition holds."""
    for _ in range(5000):  # on a slow machine it takes more turns until what was read or written is there
        if holds():
            return
        await clock.advance(0.02)
        await asyncio.sleep(0.002)
    assert holds()


def state(life: Hub, run_id: str) -> str:
    record = life.feature.history.run(run_id)
    return "" if record is None else record.state


def objects(life: Hub) -> int:
    return len(life.api.list(RUN, "default").items)


async def test_a_run_past_its_deadline_fails_and_what_runs_is_ended(world: World, clock: FakeClock) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2), platforms=config(activeDeadlineSeconds=60))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        await clock.advance(50)
        assert state(life, run.id) == "RUNNING"
        await clock.advance(11)
        await pass_time(clock, lambda: state(life, run.id) == "FAILED")
        assert life.states(run.id) == {"": "FAILED", "s0": "CANCELED", "s1": "CANCELED"}
        failure = life.feature.history.run(run.id).failure  # pyright: ignore[reportOptionalMemberAccess]  # it is there
        assert failure is not None
        assert failure.reason == "DeadlineExceeded"
        assert failure.message.startswith("the run was not over after 60 s, which is all that its pipeline allows")
        await pass_time(clock, lambda: not life.api.list(POD, "default").items)
        (obj,) = life.api.list(RUN, "default").items
        assert (obj["status"]["state"], obj["status"]["message"]) == ("FAILED", failure.message)


async def test_a_deadline_that_passes_while_the_hub_is_down_counts(world: World, clock: FakeClock) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2), platforms=config(activeDeadlineSeconds=60))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        await clock.advance(30)
    async with hub(world) as life:  # the deadline is still 30 s away
        await clock.advance(10)
        assert state(life, run.id) == "RUNNING"
    await clock.advance(100)
    async with hub(world) as life:
        await pass_time(clock, lambda: state(life, run.id) == "FAILED")


async def test_a_run_that_is_tried_again_has_its_whole_time_again(world: World, clock: FakeClock) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1), platforms=config(activeDeadlineSeconds=60))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        await clock.advance(61)
        await pass_time(clock, lambda: state(life, run.id) == "FAILED" and life.feature.controller.worker(run.id) is None)
        world.machine.behaviour = obedient
        await clock.advance(3600)
        await life.feature.controller.retry(run.id)
        await pass_time(clock, lambda: state(life, run.id) == "SUCCEEDED")
        await clock.advance(3600)
        assert state(life, run.id) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("asked", "behaviour", "stays"),
    [
        ({"resourceTtlOnCompletion": 100}, obedient, 100),
        ({"resourceTtlOnCompletion": 100}, bad, 100),
        ({"resourceTtlOnCompletion": 100, "resourceTtlOnSuccess": 10}, obedient, 10),
        ({"resourceTtlOnCompletion": 100, "resourceTtlOnSuccess": 10}, bad, 100),
        ({"resourceTtlOnFailure": 10}, bad, 10),
        ({"resourceTtlOnFailure": 10}, obedient, 7 * 24 * 3600),
    ],
    ids=["ended-well", "ended-badly", "success", "success-does-not-count", "failure", "failure-does-not-count"],
)
async def test_the_objects_of_a_run_go_when_its_pipeline_says_and_its_history_stays(
    world: World, clock: FakeClock, asked: dict[str, int], behaviour: Any, stays: int
) -> None:
    world.machine.behaviour = behaviour
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1), platforms=config(**asked))
        await pass_time(clock, lambda: life.feature.controller.worker(run.id) is None)
        await clock.advance(stays - 5)
        assert objects(life) == 1
    async with hub(world) as life:  # what is due is known from the object
        await clock.advance(4)
        assert objects(life) == 1
        await clock.advance(2)
        await pass_time(clock, lambda: not objects(life))
        assert life.feature.history.run(run.id) is not None


async def test_what_the_run_itself_says_goes_before_what_its_pipeline_says(world: World, clock: FakeClock) -> None:
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1), platforms=config(resourceTtlOnCompletion=5), ttlSecondsAfterFinished=50)
        await pass_time(clock, lambda: life.feature.controller.worker(run.id) is None)
        await clock.advance(40)
        assert objects(life) == 1
