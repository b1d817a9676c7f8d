"""Order, failures and skipping: which tasks run, and how the run ends."""

from typing import Any

import pytest

from kedge.pipelines.engine.types import Failure, RunStarted, State, Step, StepCommitted, StepFailed, StepStarted, Values

BOOM = Failure("user", "ExitCode", "it said no", 3)


def failing(*names: str) -> Any:
    return lambda step: BOOM if step.task in names else Values({"out": 1})


def test_a_task_runs_after_all_that_it_waits_for(build: Any, world: Any) -> None:
    """Stated and implied dependencies both count, and each task runs once."""
    tasks = {
        "d": build.task("two", {"a": build.out("b"), "b": build.out("c")}),
        "b": build.task("one", {"a": build.out("a")}),
        "c": build.task("one", {"a": build.const(1)}, after=["a"]),
        "a": build.task("one", {"a": build.const(1)}),
    }
    components = {"one": build.step({"a": "NUMBER_INTEGER"}), "two": build.step({"a": "NUMBER_INTEGER", "b": "NUMBER_INTEGER"})}
    run = world(build.pipeline(build.dag(tasks), components)).go()
    assert run.ran() == ["a", "b", "c", "d"]
    assert run.finish.state is State.SUCCEEDED
    assert run["d"].inputs.parameters == {"a": 1, "b": 1}


def test_a_failure_skips_what_needs_it_and_nothing_else(build: Any, world: Any) -> None:
    """Independent branches go on; the run fails with the failure that came first."""
    tasks = {
        "a": build.task("c"),
        "after-a": build.task("c", after=["a"]),
        "after-after-a": build.task("c", after=["after-a"]),
        "b": build.task("c"),
        "after-b": build.task("c", after=["b"]),
    }
    run = world(build.pipeline(build.dag(tasks), {"c": build.step()}), failing("a")).go()
    assert run.states() == {
        "a": "FAILED",
        "after-a": "SKIPPED",
        "after-after-a": "SKIPPED",
        "b": "SUCCEEDED",
        "after-b": "SUCCEEDED",
    }
    assert run["after-a"].failure == Failure("upstream", "UpstreamFailed", "a failed", task="after-a")
    assert run["after-after-a"].failure.reason == "UpstreamSkipped"
    assert (run.finish.state, run.finish.failure) == (State.FAILED, Failure("user", "ExitCode", "it said no", 3, "a"))


def test_the_first_failure_is_the_runs_even_when_a_later_one_ends_its_dag_first(build: Any, world: Any) -> None:
    components = {
        "c": build.step(),
        "slow": build.dag({"bad": build.task("c"), "then": build.task("c")}),
    }
    tasks = {"nested": build.task("slow"), "other": build.task("c")}
    run = world(build.pipeline(build.dag(tasks), components), failing("nested.bad", "other"))
    run.tell(RunStarted(run.now))
    run.deliver(StepFailed(run.now, "nested.bad", 0, BOOM))
    run.go()
    assert run["nested"].failure.task == "nested.bad"
    assert run.finish.failure.task == "nested.bad"


def test_a_failure_is_seen_on_the_dags_around_it_at_once(build: Any, world: Any) -> None:
    components = {"c": build.step(), "inner": build.dag({"bad": build.task("c"), "long": build.task("c")})}
    run = world(build.pipeline(build.dag({"nested": build.task("inner")}), components), failing("nested.bad"))
    run.tell(RunStarted(run.now))
    run.deliver(StepFailed(run.now, "nested.bad", 0, BOOM))
    assert (run["nested"].state, run[""].state) == (State.RUNNING, State.RUNNING)
    assert run["nested"].failure == run[""].failure == run["nested.bad"].failure


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        pytest.param("inputs.parameter_values['x'] == 3", "SUCCEEDED", id="true"),
        pytest.param("inputs.parameter_values['x'] != 3", "SKIPPED", id="false"),
        pytest.param("inputs.parameter_values['x']", "FAILED", id="not-boolean"),
        pytest.param("inputs.parameter_values['x'] < 'a'", "FAILED", id="no-order"),
    ],
)
def test_a_condition_decides_and_what_follows_a_false_one_is_skipped(build: Any, world: Any, condition: str, state: str) -> None:
    """A false condition is no failure: the run still succeeds."""
    components = {
        "c": build.step(),
        "branch": build.dag({"inside": build.task("c")}, {"x": "NUMBER_INTEGER"}),
    }
    tasks = {
        "if": build.task("branch", {"x": build.const(3)}, **build.when(condition)),
        "then": build.task("c", after=["if"]),
    }
    run = world(build.pipeline(build.dag(tasks), components)).go()
    assert run["if"].state == state
    assert run["then"].state == ("SUCCEEDED" if state == "SUCCEEDED" else "SKIPPED")
    assert run.finish.state is (State.FAILED if state == "FAILED" else State.SUCCEEDED)
    assert ("if.inside" in run.rows) == (state == "SUCCEEDED")
    if state == "SKIPPED":
        assert run["if"].failure.reason == "ConditionFalse"


@pytest.mark.parametrize("failed", [False, True], ids=["upstream-succeeded", "upstream-failed"])
def test_an_exit_task_runs_either_way_and_is_told_how_it_went(build: Any, world: Any, failed: Any) -> None:
    """The run's own state does not depend on the exit task."""
    components = {
        "c": build.step(),
        "group": build.dag({"work": build.task("c")}),
        "exit": build.step({"status": "TASK_FINAL_STATUS"}, {}),
    }
    tasks = {
        "exit-handler-1": build.task("group"),
        "clean": build.task(
            "exit", {"status": build.status("exit-handler-1")}, after=["exit-handler-1"], **build.when(tolerant=True)
        ),
    }

    def work(step: Any) -> Any:
        if step.task == "clean":
            return Values()
        return BOOM if failed else Values({"out": 1})

    run = world(build.pipeline(build.dag(tasks), components), work).go()
    assert run["clean"].state is State.SUCCEEDED
    assert run["clean"].inputs.parameters["status"] == {
        "state": "FAILED" if failed else "SUCCEEDED",
        "pipelineJobResourceName": "run-1",
        "pipelineTaskName": "exit-handler-1",
        "error": {"code": 3, "message": "it said no"} if failed else {},
    }
    assert run.finish.state is (State.FAILED if failed else State.SUCCEEDED)


def test_final_status_can_speak_as_upstreams_backend_does(build: Any, world: Any) -> None:
    components = {"c": build.step(), "exit": build.step({"status": "TASK_FINAL_STATUS"}, {})}
    tasks = {"a": build.task("c"), "clean": build.task("exit", {"status": build.status("a")}, **build.when(tolerant=True))}
    behave = lambda step: Values() if step.task == "clean" else Values({"out": 1})  # noqa: E731
    run = world(build.pipeline(build.dag(tasks), components), behave, final_status_complete=True).go()
    assert run["clean"].inputs.parameters["status"]["state"] == "COMPLETE"


def test_a_tolerant_task_takes_its_default_for_an_output_that_a_failed_task_did_not_make(build: Any, world: Any) -> None:
    """As ``ignore_upstream_failure()`` is documented."""
    components = {
        "c": build.step(),
        "d": build.step({"a": {"parameterType": "NUMBER_INTEGER", "defaultValue": 7, "isOptional": True}}),
        "strict": build.step({"a": "NUMBER_INTEGER"}),
    }
    tasks = {
        "a": build.task("c"),
        "with-default": build.task("d", {"a": build.out("a")}, **build.when(tolerant=True)),
        "without": build.task("strict", {"a": build.out("a")}, **build.when(tolerant=True)),
    }
    run = world(build.pipeline(build.dag(tasks), components), failing("a")).go()
    assert run["with-default"].state is State.SUCCEEDED
    assert run["with-default"].inputs.parameters == {}
    assert run["without"].state is State.FAILED
    assert "a ended FAILED and left no output 'out'" in run["without"].failure.message
    assert "Give the input a default value" in run["without"].failure.message


def test_an_empty_pipeline_and_an_empty_dag_succeed(build: Any, world: Any) -> None:
    assert world(build.pipeline(build.dag({}))).go().finish.state is State.SUCCEEDED
    run = world(build.pipeline(build.dag({"e": build.task("empty")}), {"empty": build.dag({})})).go()
    assert (run["e"].state, run.finish.state) == (State.SUCCEEDED, State.SUCCEEDED)


def test_a_chain_of_thousands_is_skipped_without_recursion(build: Any, world: Any) -> None:
    tasks = {f"t{i}": build.task("c", after=[f"t{i - 1}"] if i else []) for i in range(3000)}
    run = world(build.pipeline(build.dag(tasks), {"c": build.step()}), failing("t0"))
    run.check = lambda before: None  # the invariants look at every row
    run.go()
    assert run.ran() == ["t0"]
    assert run["t2999"].state is State.SKIPPED


def test_news_of_tasks_that_are_over_or_of_other_attempts_change_nothing(build: Any, world: Any) -> None:
    """Every event may come twice, late, or for a task that never was."""
    spec = build.pipeline(build.dag({"a": build.task("c"), "b": build.task("c", after=["a"])}), {"c": build.step()})
    run = world(spec).go()
    engine, now, nothing = run.engine, run.now, Step()
    for event in (
        StepStarted(now, "a", 0),
        StepCommitted(now, "a", 0, Values({"out": 2})),
        StepFailed(now, "a", 0, BOOM),
        StepCommitted(now, "a", 1, Values({"out": 2})),
        StepCommitted(now, "nobody", 0, Values()),
    ):
        assert engine.handle(event) == nothing
    assert run["a"].outputs == Values({"out": 1})
    assert engine.tasks == run.rows
    assert not engine.wants("a", 0)


def test_a_commit_needs_no_start_and_keeps_its_time(build: Any, world: Any) -> None:
    spec = build.pipeline(build.dag({"a": build.task("c")}), {"c": build.step()})
    run = world(spec).go(started=False)
    assert run["a"].started_at is None
    assert world(spec).go()["a"].started_at is not None
