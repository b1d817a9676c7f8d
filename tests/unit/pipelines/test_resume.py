"""A run that is over goes on with a changed pipeline, or from one of its tasks: what is unchanged is kept, and each choice is told."""

from pathlib import Path
from typing import Any

import pytest

from kedge.errors import BadRequest
from kedge.pipelines.engine.resuming import Plan
from kedge.pipelines.records import Spec
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
NUMBER = pipelines.NUMBER


class Steps:
    """A machine's behaviour: the steps in ``broken`` fail, the others add one.

    Attributes:
        ran: Tasks in the order in which they ran.
    """

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.ran: list[str] = []

    async def __call__(self, step: Step) -> Ended:
        self.ran.append(step.task)
        return Ended(1) if step.task in self.broken else await obedient(step)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def world(tmp_path: Path, steps: Steps) -> World:
    return World(tmp_path, Machine(steps))


def adder(name: str = "add") -> tuple[Json, Json]:
    """A component; another name makes other code."""
    return pipelines.component(name, {"x": NUMBER}, {"Output": NUMBER}), pipelines.python(name)


def line(*functions: str, start: int = 0) -> Json:
    """Steps a, b, c…, each after the one before, of these functions."""
    tasks: Json = {}
    last: Any = "=start"
    for name, function in zip("abcdef", functions, strict=False):
        tasks[name] = pipelines.task(function, x=last)
        last = (name, "Output")
    given = {"start": {"parameterType": NUMBER, "defaultValue": start}}
    return pipelines.pipeline(tasks, {name: adder(name) for name in functions}, inputs=given)


def looped(function: str, *, also: str = "same", items: str = "[1, 2, 3]") -> Json:
    """A loop over a graph of two steps."""
    inner = pipelines.dag(
        {"first": pipelines.task("same", x="=item"), "second": pipelines.task(function, x=("first", "Output"))}, {"item": NUMBER}
    )
    loop = {**pipelines.task("inner"), "parameterIterator": {"items": {"raw": items}, "itemInput": "item"}}
    tasks = {"before": pipelines.task(also, x=1), "loop": {**loop, "dependentTasks": ["before"]}}
    return pipelines.pipeline(tasks, {"inner": inner, **{name: adder(name) for name in ("same", function, also)}})


async def failed(life: Hub, pipeline: Json, state: str = "FAILED", **asked: Any) -> str:
    run = await life.submit(pipeline, **asked)
    assert (await life.end(run.id)).state == state
    return run.id


async def resume(life: Hub, run: str, pipeline: Json, state: str = "SUCCEEDED", platforms: Json | None = None) -> Plan:
    plan = await life.feature.resumptions.resume(run, Spec.of(pipeline, platforms or {}))
    assert (await life.end(run)).state == state
    return plan


async def test_only_the_step_that_was_mended_and_those_after_it_run(world: World, steps: Steps) -> None:
    steps.broken = {"b"}
    async with hub(world) as life:
        run = await failed(life, line("add", "bad", "add"))
        steps.broken, steps.ran = set(), []
        plan = await resume(life, run, line("add", "good", "add"))
        assert steps.ran == ["b", "c"]
        assert plan.kept == ["a"]
        assert plan.again == {"b": "it has changed", "c": "b runs again"}
        attempts = [(one.number, one.state) for one in life.feature.history.attempts(run, "b")]
        assert attempts == [(0, "FAILED"), (1, "SUCCEEDED")]
        record = life.feature.history.run(run)
        assert record is not None
        spec = life.feature.history.spec(record.spec_digest)
        assert spec is not None
        assert "comp-good" in spec.pipeline["components"]


async def test_a_step_that_succeeded_but_has_changed_runs_again(world: World, steps: Steps) -> None:
    steps.broken = {"c"}
    async with hub(world) as life:
        run = await failed(life, line("add", "add", "bad"))
        steps.broken, steps.ran = set(), []
        plan = await resume(life, run, line("more", "add", "bad"))
        assert steps.ran == ["a", "b", "c"]
        assert plan.again == {"a": "it has changed", "b": "a runs again", "c": "b runs again"}


async def test_an_input_that_changed_is_noticed_and_one_that_nobody_takes_is_not(world: World, steps: Steps) -> None:
    steps.broken = {"b"}
    async with hub(world) as life:
        run = await failed(life, line("add", "add"))
        plan = await resume(life, run, line("add", "add", start=5), "FAILED")
        assert plan.again["a"] == "the input start has changed"
        wider = line("add", "add", start=5)
        wider["root"]["inputDefinitions"]["parameters"]["more"] = {"parameterType": NUMBER, "defaultValue": 1}
        steps.broken = set()
        plan = await resume(life, run, wider)
        assert (plan.kept, plan.again) == (["a"], {"b": "it failed"})


async def test_an_option_that_names_something_else_is_noticed(world: World, steps: Steps) -> None:
    def secret(source: Json) -> Json:
        option = {"mountPath": "/etc/secret", "secretNameParameter": source}
        return {"kubernetes": {"deploymentSpec": {"executors": {"exec-add": {"secretAsVolume": [option]}}}}}

    def named(text: str) -> Json:
        made = line("add", "bad")
        made["root"]["inputDefinitions"]["parameters"]["secret"] = {"parameterType": "STRING", "defaultValue": text}
        return made

    steps.broken = {"b"}
    value = secret({"componentInputParameter": "secret"})
    async with hub(world) as life:
        run = await failed(life, named("one"), platforms=value)
        plan = await resume(life, run, named("one"), "FAILED", value)
        assert plan.kept == ["a"]
        plan = await resume(life, run, named("two"), "FAILED", value)
        assert plan.again["a"] == "the input secret has changed"
        plan = await resume(life, run, named("two"), "FAILED", secret({"runtimeValue": {"constant": "two"}}))
        assert plan.again["a"] in ("it has changed", "its inputs come from elsewhere, or what it follows has changed")


async def test_steps_come_and_go(world: World, steps: Steps) -> None:
    steps.broken = {"c"}
    async with hub(world) as life:
        run = await failed(life, line("add", "add", "bad"))
        plan = await resume(life, run, line("add", "add"))
        assert (plan.kept, plan.again, plan.dropped) == (["a", "b"], {}, ["c"])
        assert set(life.states(run)) == {"", "a", "b"}


async def test_a_step_that_comes_back_counts_on_from_its_attempts(world: World, steps: Steps) -> None:
    steps.broken = {"b", "c"}
    async with hub(world) as life:
        run = await failed(life, line("add", "add", "add"))
        steps.broken = {"a", "b"}
        await resume(life, run, line("other"), "FAILED")
        steps.broken = set()
        await resume(life, run, line("other", "add"))
        assert [one.number for one in life.feature.history.attempts(run, "b")] == [0, 1]
    async with hub(world) as life:
        assert life.states(run) == {"": "SUCCEEDED", "a": "SUCCEEDED", "b": "SUCCEEDED"}


async def test_within_a_loop_each_iteration_keeps_what_is_unchanged(world: World, steps: Steps) -> None:
    steps.broken = {"loop.1.second"}
    async with hub(world) as life:
        run = await failed(life, looped("bad"))
        steps.broken, steps.ran = set(), []
        plan = await resume(life, run, looped("good"))
        assert sorted(steps.ran) == ["loop.0.second", "loop.1.second", "loop.2.second"]
        assert sorted(plan.kept) == ["before", "loop.0.first", "loop.1.first", "loop.2.first"]


async def test_an_unchanged_loop_runs_again_only_where_it_failed(world: World, steps: Steps) -> None:
    steps.broken = {"loop.1.second"}
    async with hub(world) as life:
        run = await failed(life, looped("bad"))
        steps.broken, steps.ran = set(), []
        plan = await resume(life, run, looped("bad"))
        assert steps.ran == ["loop.1.second"]
        assert sorted(plan.kept) == ["before", "loop.0", "loop.1.first", "loop.2"]


async def test_a_loop_over_other_items_runs_anew(world: World, steps: Steps) -> None:
    steps.broken = {"loop.1.second"}
    async with hub(world) as life:
        run = await failed(life, looped("bad"))
        steps.broken, steps.ran = set(), []
        plan = await resume(life, run, looped("bad", items="[4, 5]"))
        assert len(steps.ran) == 4
        assert plan.again == {"loop": "its inputs come from elsewhere, or what it follows has changed"}
        assert [one.number for one in life.feature.history.attempts(run, "loop.0.first")] == [0, 1]


async def test_a_hub_that_ends_meanwhile_goes_on_with_the_new_pipeline(world: World, steps: Steps) -> None:
    steps.broken = {"b"}
    async with hub(world) as life:
        run = await failed(life, line("add", "bad", "add"))
        steps.broken = set()
        await life.feature.resumptions.resume(run, Spec.of(line("add", "good", "add", "add"), {}))
    async with hub(world) as life:
        assert (await life.end(run)).state == "SUCCEEDED"
        assert set(life.states(run)) == {"", "a", "b", "c", "d"}
        assert steps.ran.count("a") == 1


async def test_what_cannot_be_resumed_says_why(world: World, steps: Steps) -> None:
    steps.broken = {"b"}
    async with hub(world) as life:
        run = await failed(life, line("add", "add"))
        with pytest.raises(BadRequest, match="the parameter 'need' is missing"):
            needy = line("add", "add")
            needy["root"]["inputDefinitions"]["parameters"]["need"] = {"parameterType": NUMBER}
            await life.feature.resumptions.resume(run, Spec.of(needy, {}))
        assert life.states(run)["b"] == "FAILED"
        done = await failed(life, line("add"), "SUCCEEDED")
        with pytest.raises(BadRequest, match="is SUCCEEDED: only one that failed or was canceled can be resumed"):
            await life.feature.resumptions.resume(done, Spec.of(line("more"), {}))
    async with hub(world, node=False) as life:
        going = await life.submit(line("add"))
        with pytest.raises(BadRequest, match="only one that is over can be resumed"):
            await life.feature.resumptions.resume(going.id, Spec.of(line("more"), {}))


# ---- one task


async def test_one_task_runs_again_and_what_depends_on_it(world: World, steps: Steps) -> None:
    tasks = {
        "a": pipelines.task("add", x=1, cache=True),
        "b": pipelines.task("add", x=("a", "Output")),
        "other": pipelines.task("add", x=3),
    }
    async with hub(world) as life:
        run = await failed(life, pipelines.pipeline(tasks, {"add": adder()}), "SUCCEEDED")
        steps.ran = []
        plan = await life.feature.resumptions.retry_task(run, "a")
        assert (await life.end(run)).state == "SUCCEEDED"
        assert steps.ran == ["a", "b"]
        assert plan.again == {"a": "it was asked for", "b": "it depends on a"}
        assert plan.kept == ["other"]


async def test_of_two_failures_the_other_stays(world: World, steps: Steps) -> None:
    tasks = {name: pipelines.task("add", x=1) for name in ("a", "b")}
    steps.broken = {"a", "b"}
    async with hub(world) as life:
        run = await failed(life, pipelines.pipeline(tasks, {"add": adder()}))
        steps.broken, steps.ran = set(), []
        await life.feature.resumptions.retry_task(run, "a")
        record = await life.end(run)
        assert (record.state, record.failure and record.failure.task) == ("FAILED", "b")
        assert steps.ran == ["a"]
        await life.feature.resumptions.retry_task(run, "b")
        assert (await life.end(run)).state == "SUCCEEDED"


async def test_a_step_in_a_loop_a_whole_iteration_and_a_whole_loop(world: World, steps: Steps) -> None:
    async with hub(world) as life:
        run = await failed(life, looped("last"), "SUCCEEDED")
        expected = {
            "loop.1.first": ["loop.1.first", "loop.1.second"],
            "loop.2.second": ["loop.2.second"],
            "loop.0": ["loop.0.first", "loop.0.second"],
            "loop": [f"loop.{n}.{name}" for n in range(3) for name in ("first", "second")],
        }
        for task, again in expected.items():
            steps.ran = []
            await life.feature.resumptions.retry_task(run, task)
            assert (await life.end(run)).state == "SUCCEEDED"
            assert sorted(steps.ran) == again
        assert [one.number for one in life.feature.history.attempts(run, "loop.1.first")] == [0, 1, 2]


async def test_a_task_that_cannot_be_named_says_which_there_are(world: World) -> None:
    async with hub(world) as life:
        run = await failed(life, looped("last"), "SUCCEEDED")
        with pytest.raises(BadRequest, match=r"there are several of that name: loop\.0\.first, loop\.1\.first"):
            await life.feature.resumptions.retry_task(run, "first")
        with pytest.raises(BadRequest, match=r"the run has none of that name. It has before, loop\."):
            await life.feature.resumptions.retry_task(run, "nothing")
