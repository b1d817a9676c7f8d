"""A run that failed is tried again from where it failed: what succeeded is kept, and not run again."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from kedge.errors import BadRequest, NotFound
from kedge.pipelines.kinds import RUN
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
ADD = (pipelines.component("add", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("add"))


class Flaky:
    """A machine's behaviour: steps fail until the test mends them.

    Attributes:
        broken: Ids of the tasks that fail.
        ran: How often each task has run.
    """

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.ran: Counter[str] = Counter()

    async def __call__(self, step: Step) -> Ended:
        self.ran[step.task] += 1
        return Ended(1) if step.task in self.broken else await obedient(step)


@contextlib.asynccontextmanager
async def running(tmp_path: Path, behaviour: Flaky) -> AsyncGenerator[Hub]:
    async with hub(World(tmp_path, Machine(behaviour))) as life:
        yield life


async def end(life: Hub, pipeline: Json) -> str:
    run = await life.submit(pipeline)
    assert (await life.end(run.id)).state == "FAILED"
    return run.id


async def retry(life: Hub, run_id: str) -> Json:
    await life.feature.controller.retry(run_id)
    record = await life.end(run_id)
    return {"state": record.state, "outputs": record.outputs.parameters if record.outputs is not None else {}}


async def test_a_chain_goes_on_at_the_step_that_failed(tmp_path: Path) -> None:
    steps = Flaky("s1")
    async with running(tmp_path, steps) as life:
        run = await end(life, pipelines.chain(4))
        assert await retry(life, run) == {"state": "FAILED", "outputs": {}}
        steps.broken.clear()
        assert await retry(life, run) == {"state": "SUCCEEDED", "outputs": {"Output": 4}}
        assert steps.ran == {"s0": 1, "s1": 3, "s2": 1, "s3": 1}
        attempts = [(one.number, one.state) for one in life.feature.history.attempts(run, "s1")]
        assert attempts == [(0, "FAILED"), (1, "FAILED"), (2, "SUCCEEDED")]
        record = life.feature.history.run(run)
        assert record is not None
        states = [state for state, _ in record.state_history]
        assert states == ["PENDING", "RUNNING", "FAILED", "RUNNING", "FAILED", "RUNNING", "SUCCEEDED"]
        assert record.failure is None
        obj = await life.feature.controller._client.get(RUN, record.name, "default")
        assert obj["status"]["state"] == "SUCCEEDED"
        assert "message" not in obj["status"]


async def test_of_a_loop_only_the_iterations_that_failed_run_again(tmp_path: Path) -> None:
    steps = Flaky("loop.2.add", "loop.5.add")
    async with running(tmp_path, steps) as life:
        run = await end(life, pipelines.fan(8))
        steps.broken.clear()
        assert (await retry(life, run))["state"] == "SUCCEEDED"
        assert {task: count for task, count in steps.ran.items() if count > 1} == {"loop.2.add": 2, "loop.5.add": 2}
        assert set(life.states(run).values()) == {"SUCCEEDED"}


async def test_a_step_after_everything_runs_again_with_what_it_follows(tmp_path: Path) -> None:
    exiting = {**pipelines.task("add", after=["work"], x=5), "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
    tasks = {"work": pipelines.task("add", x=1), "next": pipelines.task("add", x=("work", "Output")), "exit": exiting}
    steps = Flaky("work")
    async with running(tmp_path, steps) as life:
        run = await end(life, pipelines.pipeline(tasks, {"add": ADD}))
        assert life.states(run) == {"": "FAILED", "work": "FAILED", "next": "SKIPPED", "exit": "SUCCEEDED"}
        steps.broken.clear()
        assert (await retry(life, run))["state"] == "SUCCEEDED"
        assert steps.ran == {"work": 2, "next": 1, "exit": 2}


async def test_a_false_condition_stays_false_and_retries_are_whole_again(tmp_path: Path) -> None:
    never = {**pipelines.task("add", x=2), "triggerPolicy": {"condition": "1 == 2"}}
    patient = {**pipelines.task("add", x=1), "retryPolicy": {"maxRetryCount": 1, "backoffDuration": "0s"}}
    steps = Flaky("patient")
    async with running(tmp_path, steps) as life:
        run = await end(life, pipelines.pipeline({"never": never, "patient": patient}, {"add": ADD}))
        assert (await retry(life, run))["state"] == "FAILED"
        assert steps.ran == {"patient": 4}
        assert life.states(run)["never"] == "SKIPPED"


async def test_a_canceled_run_goes_on(tmp_path: Path) -> None:
    steps = Flaky()
    async with running(tmp_path, steps) as life:
        run = await life.submit(pipelines.chain(3))
        await life.feature.controller.cancel(run.id, "enough")
        assert (await life.end(run.id)).state == "CANCELED"
        assert await retry(life, run.id) == {"state": "SUCCEEDED", "outputs": {"Output": 3}}
        record = life.feature.history.run(run.id)
        assert record is not None
        obj = await life.feature.controller._client.get(RUN, record.name, "default")
        assert not obj["spec"].get("terminate")


async def test_a_hub_that_ends_meanwhile_goes_on_too(tmp_path: Path) -> None:
    steps = Flaky("s1")
    world = World(tmp_path, Machine(steps))
    async with hub(world) as life:
        run = await end(life, pipelines.chain(3))
        steps.broken.clear()
        await life.feature.controller.retry(run)
    async with hub(world) as life:
        assert (await life.end(run)).state == "SUCCEEDED"
        assert steps.ran["s0"] == 1


async def test_what_cannot_be_tried_again_says_why(tmp_path: Path) -> None:
    steps = Flaky("s1")
    async with running(tmp_path, steps) as life:
        failed = await end(life, pipelines.chain(2))
        steps.broken.clear()
        done = await life.submit(pipelines.chain(1))
        await life.end(done.id)
        with pytest.raises(BadRequest, match="is SUCCEEDED: only one that failed or was canceled can be tried again"):
            await life.feature.controller.retry(done.id)
        with pytest.raises(NotFound, match="run 'x' not found"):
            await life.feature.controller.retry("x")
        record = life.feature.history.run(failed)
        assert record is not None
        await life.feature.controller._client.delete(RUN, record.name, "default")
        with pytest.raises(BadRequest, match="its Run object was deleted.* Start it again"):
            await life.feature.controller.retry(failed)
