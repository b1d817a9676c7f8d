"""Interleavings and kills: the order of news and the moment of a crash change nothing that matters."""

import random  # noqa: TID251  # dice with a seed
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.pipelines.engine.types import Failure, Kind, RunStarted, StartStep, State, Values

USER = Failure("user", "ExitCode", "no", 1)
INFRA = Failure("infra", "NodeLost", "gone")


def everything(build: Any) -> Any:
    """One pipeline with a loop, a branch, retries, a nested DAG, a cached step and an exit task."""
    one = {"a": "NUMBER_INTEGER"}
    components = {
        "c": build.step(one),
        "sum": build.step({"xs": "LIST"}),
        "exit": build.step({"status": "TASK_FINAL_STATUS"}, {}),
        "body": build.dag(
            {
                "first": build.task("c", {"a": build.outer("item")}, **build.retry(2)),
                "if": build.task("branch", {"x": build.out("first")}, **build.when("inputs.parameter_values['x'] > 2")),
            },
            {"item": "NUMBER_INTEGER"},
            {"out": "LIST"},
            {"out": [("if", "out"), ("first", "out")]},
        ),
        "branch": build.dag(
            {"w": build.task("c", {"a": build.outer("x")})},
            {"x": "NUMBER_INTEGER"},
            {"out": "NUMBER_INTEGER"},
            {"out": ("w", "out")},
        ),
        "group": build.dag(
            {
                "loop": build.task("body", **build.over([1, 2, 3], limit=2)),
                "sum": build.task("sum", {"xs": build.out("loop")}),
                "bad": build.task("c", {"a": build.const(1)}, **build.retry(1, "5s")),
                "never": build.task("c", {"a": build.out("bad")}),
            }
        ),
    }
    tasks = {
        "cached": build.task("c", {"a": build.const(5)}, cachingOptions={"enableCache": True}),
        "group": build.task("group", {}, ["cached"]),
        "clean": build.task("exit", {"status": build.status("group")}, **build.when(tolerant=True)),
    }
    return build.pipeline(build.dag(tasks), components)


def behaviour(step: StartStep) -> Values | Failure:
    if step.task == "group.bad":
        return USER
    if step.task.endswith(".first") and step.attempt < 2:
        return INFRA if step.attempt == 0 else USER
    if step.task == "clean":
        return Values()
    values = step.inputs.parameters
    return Values({"out": sum(values["xs"]) if "xs" in values else values["a"] + 1})


def counter(limit: int) -> Callable[[], bool]:
    """Kills at the limit-th moment at which it could, once."""
    left = [limit]

    def kill() -> bool:
        left[0] -= 1
        return left[0] == 0

    return kill


def test_killed_at_any_moment_the_run_ends_as_undisturbed(build: Any, world: Any) -> None:
    """Between any two writes: each attempt runs once, and every row is the same in the end."""
    moments = [0]

    def count() -> bool:
        moments[0] += 1
        return False

    undisturbed = world(everything(build), behaviour, count).go()
    assert undisturbed.finish.state is State.FAILED
    assert undisturbed["group.sum"].outputs.parameters == {"out": 2 + 4 + 5}
    assert moments[0] > 50
    for moment in range(1, moments[0] + 1):
        run = world(everything(build), behaviour, counter(moment)).go()
        assert run.outcome == undisturbed.outcome, f"killed at moment {moment}"
        assert len(run.executed) == len(set(run.executed)), "an attempt ran twice"
        assert set(run.executed) == set(undisturbed.executed)
        assert (run.finish.state, run.finish.outputs) == (undisturbed.finish.state, undisturbed.finish.outputs)


@pytest.mark.parametrize("seed", range(20))
def test_killed_again_and_again(build: Any, world: Any, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    undisturbed = world(everything(build), behaviour).go()
    run = world(everything(build), behaviour, lambda: chance.random() < 0.3).go(chance.randrange)
    assert run.outcome == undisturbed.outcome
    assert sorted(run.executed) == sorted(undisturbed.executed)


# ---- random pipelines


@st.composite
def _tasks(draw: st.DrawFn, depth: int = 2) -> list[dict[str, Any]]:
    """Tasks of one DAG: what each is, what it waits for (earlier ones only), how it behaves."""
    tasks: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 5 if depth == 2 else 3))):
        kinds = ["step", "step", "dag", "loop"] if depth else ["step"]
        kind = draw(st.sampled_from(kinds))
        earlier = st.lists(st.integers(0, number - 1), max_size=2, unique=True) if number else st.just([])
        tasks.append(
            {
                "name": f"t{number}",
                "kind": kind,
                "after": draw(earlier),
                "data": draw(earlier),
                "tolerant": draw(st.booleans()) and draw(st.booleans()),
                "condition": draw(st.sampled_from(["", "", "", "true", "false"])),
                "failures": draw(st.lists(st.sampled_from(["user", "infra"]), max_size=3)) if kind == "step" else [],
                "retries": draw(st.integers(0, 2)),
                "delay": draw(st.sampled_from(["0s", "3s"])),
                "cached": draw(st.booleans()) if kind == "step" else False,
                "items": draw(st.integers(0, 3)),
                "limit": draw(st.integers(0, 2)),
                "tasks": draw(_tasks(depth - 1)) if kind != "step" else [],
            }
        )
    return tasks


def _compile(build: Any, tasks: list[dict[str, Any]], components: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for task in tasks:
        optional = {"parameterType": "LIST", "isOptional": True}
        inputs: dict[str, Any] = {f"d{n}": optional for n in task["data"]}
        name = f"c{len(components)}"
        components[name] = {}
        fields = {**build.when(task["condition"], tolerant=task["tolerant"]), **build.retry(task["retries"], task["delay"])}
        if task["kind"] == "step":
            components[name] = build.step(inputs, {"out": "LIST"})
            fields["cachingOptions"] = {"enableCache": task["cached"], "cacheKey": name}
        else:
            inside = _compile(build, task["tasks"], components)
            give = {"out": [(inner, "out") for inner in inside]} if inside else {}
            outputs = {"out": "LIST"}
            components[name] = build.dag(
                inside, {**inputs, "item": {"parameterType": "NUMBER_INTEGER", "isOptional": True}}, outputs, give
            )
            if task["kind"] == "loop":
                fields |= build.over(list(range(task["items"])), limit=task["limit"])
        given = {f"d{n}": build.out(f"t{n}") for n in task["data"]}
        made[task["name"]] = build.task(name, given, [f"t{n}" for n in task["after"]], **fields)
    return made


def _expected(tasks: list[dict[str, Any]], prefix: str, states: dict[str, State]) -> bool:
    """Work out, by recursion and with no machine, how each task ends; tells whether any of them failed."""
    failed = False
    for task in tasks:
        name = prefix + task["name"]
        upstream = [states[f"{prefix}t{n}"] for n in {*task["after"], *task["data"]}]
        if (not task["tolerant"] and not all(s is State.SUCCEEDED for s in upstream)) or task["condition"] == "false":
            states[name] = State.SKIPPED
        elif task["kind"] == "step":
            states[name] = State.SUCCEEDED if _succeeds(task) else State.FAILED
        elif task["kind"] == "dag":
            states[name] = State.FAILED if _expected(task["tasks"], f"{name}.", states) else State.SUCCEEDED
        else:
            bad = False
            for number in range(task["items"]):
                inner = _expected(task["tasks"], f"{name}.{number}.", states)
                states[f"{name}.{number}"] = State.FAILED if inner else State.SUCCEEDED
                bad = bad or inner
            states[name] = State.FAILED if bad else State.SUCCEEDED
        failed = failed or states[name] is State.FAILED
    return failed


def _succeeds(task: dict[str, Any]) -> bool:
    used = task["failures"].count("user")
    return used <= task["retries"]  # the infrastructure's budget is larger than the failures that are drawn


def _find(tasks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"tasks": tasks}
    for part in name.split("."):
        found = found if part.isdigit() else next(t for t in found["tasks"] if t["name"] == part)
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tasks=_tasks(), seed=st.integers(0, 2**32), kills=st.sampled_from([0.0, 0.0, 0.05, 0.3]))
def test_random_pipelines_end_as_they_must(build: Any, world: Any, tasks: list[dict[str, Any]], seed: int, kills: float) -> None:
    """Any DAG, any order of news, any kills: each task ends as its upstream says, each attempt runs once, and never too early."""
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    components: dict[str, Any] = {}
    root = build.dag(_compile(build, tasks, components))
    expected: dict[str, State] = {}
    failed = _expected(tasks, "", expected)
    over_when_started: list[str] = []

    def behave(step: StartStep) -> Values | Failure:
        task = _find(tasks, step.task)
        above = run.rows[step.task].parent or ""
        for number in {*task["after"], *task["data"]}:
            needed = f"{above}.t{number}" if above else f"t{number}"
            if not run.rows[needed].state.finished:
                over_when_started.append(f"{step.task} began before {needed} ended")
        if step.attempt < len(task["failures"]):
            return USER if task["failures"][step.attempt] == "user" else INFRA
        return Values({"out": [step.task]})

    run = world(build.pipeline(root, components), behave, lambda: chance.random() < kills)
    run.go(chance.randrange, started=chance.random() < 0.5)
    assert not over_when_started
    found = {name: State.SUCCEEDED if task.state is State.CACHED else task.state for name, task in run.rows.items() if name}
    assert found == expected
    assert run.finish.state is (State.FAILED if failed else State.SUCCEEDED)
    assert len(run.executed) == len(set(run.executed)), "an attempt ran twice"
    attempts = {(t.id, n) for t in run.rows.values() if t.kind is Kind.STEP and _did_run(t) for n in range(t.attempt + 1)}
    assert set(run.executed) == attempts


def _did_run(task: Any) -> bool:
    return task.state in (State.SUCCEEDED, State.FAILED)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tasks=_tasks(), seed=st.integers(0, 2**32), moment=st.integers(0, 20))
def test_random_pipelines_can_be_canceled_at_any_moment(
    build: Any, world: Any, tasks: list[dict[str, Any]], seed: int, moment: int
) -> None:
    """The same step that takes the request in ends the run."""
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    components: dict[str, Any] = {}
    spec = build.pipeline(build.dag(_compile(build, tasks, components)), components)
    run = world(spec, lambda step: Values({"out": []}))
    for _ in range(moment):
        if "" not in run.rows:
            run.tell(RunStarted(run.now))
        elif run.events():
            run.deliver(run.events()[chance.randrange(len(run.events()))]())
    was_over = run.finish is not None
    run.cancel("stop")
    assert run[""].state.finished
    assert run.finishes == 1
    assert was_over or run.finish.state is State.CANCELED
    assert all(row.state.finished for row in run.rows.values())
