"""Attempts: retries, the cache, outputs that do not fit, cancelling, restarts."""

from datetime import timedelta
from typing import Any

import pytest

from kedge.pipelines.engine.types import (
    CacheAnswered,
    CancelRequested,
    DeadlineExceeded,
    Failure,
    FinishRun,
    LookupCache,
    Resumed,
    RunStarted,
    StartStep,
    State,
    Step,
    StepFailed,
    StepStarted,
    StopStep,
    TimerFired,
    Values,
    Waiting,
    WakeAt,
)

USER = Failure("user", "ExitCode", "no", 1)
INFRA = Failure("infra", "NodeLost", "the node is gone")


def sequence(*results: Any) -> Any:
    """Each attempt's result in turn; the last one for all further attempts."""
    return lambda step: results[min(step.attempt, len(results) - 1)]


GOOD = Values({"out": 1})


@pytest.mark.parametrize(
    ("results", "retries", "infra", "state", "attempts"),
    [
        pytest.param([USER, GOOD], 0, 3, "FAILED", 1, id="no-retries"),
        pytest.param([USER, USER, GOOD], 2, 3, "SUCCEEDED", 3, id="enough-retries"),
        pytest.param([USER], 2, 3, "FAILED", 3, id="too-few-retries"),
        pytest.param([INFRA, INFRA, GOOD], 0, 3, "SUCCEEDED", 3, id="infrastructure-apart"),
        pytest.param([INFRA], 5, 2, "FAILED", 3, id="infrastructure-for-ever"),
        pytest.param([INFRA, USER, INFRA, USER, GOOD], 2, 2, "SUCCEEDED", 5, id="both-in-turns"),
        pytest.param([INFRA, USER, USER], 1, 3, "FAILED", 3, id="infrastructure-uses-up-no-retries"),
        pytest.param(
            [Failure("canceled", "Deleted", "somebody deleted the Pod")], 5, 5, "CANCELED", 1, id="stopped-from-outside"
        ),
    ],
)
def test_retries(  # noqa: PLR0917  # a row of the table
    build: Any, world: Any, results: Any, retries: int, infra: int, state: str, attempts: int
) -> None:
    """The user's retries and the infrastructure's are two budgets."""
    spec = build.pipeline(build.dag({"a": build.task("c", **build.retry(retries))}), {"c": build.step()})
    run = world(spec, sequence(*results), infra_retries=infra).go()
    assert run["a"].state == state
    assert run.executed == [("a", n) for n in range(attempts)]
    assert run.finish.state == state


def test_the_users_failures_back_off_by_the_policy(build: Any, world: Any) -> None:
    policy = {"retryPolicy": {"maxRetryCount": 5, "backoffDuration": "10s", "backoffFactor": 3.0, "backoffMaxDuration": "60s"}}
    spec = build.pipeline(build.dag({"a": build.task("c", **policy)}), {"c": build.step()})
    run = world(spec, sequence(USER))
    run.tell(RunStarted(run.now))
    waits = []
    for attempt in range(5):
        (wake,) = run.tell(StepFailed(run.now, "a", attempt, USER))
        assert isinstance(wake, WakeAt)
        assert (run["a"].state, run["a"].waiting, run["a"].attempt) == (State.PENDING, Waiting.RETRY, attempt + 1)
        waits.append((wake.at - run.now).total_seconds())
        assert run.tell(TimerFired(run.now, "a")) == (wake,), "too early: asked to be woken again"
        (start,) = run.tell(TimerFired(wake.at, "a"))
        assert start == StartStep("a", attempt + 1, "c", "c", Values())
        assert run.engine.handle(TimerFired(wake.at, "a")) == Step()
    assert waits == [10, 30, 60, 60, 60]


def test_a_backoff_that_grows_out_of_bounds_is_capped_at_an_hour(build: Any, world: Any) -> None:
    policy = {
        "retryPolicy": {"maxRetryCount": 1000, "backoffDuration": "1s", "backoffFactor": 1e300, "backoffMaxDuration": "999999s"}
    }
    spec = build.pipeline(build.dag({"a": build.task("c", **policy)}), {"c": build.step()})
    run = world(spec)
    run.tell(RunStarted(run.now))
    waits = []
    for attempt in range(3):
        (wake,) = run.tell(StepFailed(run.now, "a", attempt, USER))
        waits.append((wake.at - run.now).total_seconds())
        run.tell(TimerFired(wake.at, "a"))
    assert waits == [1, 3600, 3600]


def test_the_infrastructures_failures_back_off_shortly_and_the_old_attempt_is_stopped(build: Any, world: Any) -> None:
    spec = build.pipeline(build.dag({"a": build.task("c")}), {"c": build.step()})
    run = world(spec, sequence(INFRA), infra_retries=7)
    run.tell(RunStarted(run.now))
    waits = []
    for attempt in range(7):
        stop, wake = run.tell(StepFailed(run.now, "a", attempt, INFRA))
        assert stop == StopStep("a", attempt)
        waits.append((wake.at - run.now).total_seconds())
        run.tell(TimerFired(wake.at, "a"))
    assert waits == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        pytest.param({}, "the output parameter 'out' was not written. Return a value for it", id="missing"),
        pytest.param({"out": None}, "the output parameter 'out' was not written", id="null"),
        pytest.param({"out": "abc"}, "the output parameter 'out': expected an integer (such as 5), got text (abc)", id="text"),
        pytest.param({"out": 1.5}, "expected an integer (such as 5), got a number (1.5)", id="fraction"),
        pytest.param({"out": True}, "expected an integer (such as 5), got a boolean (true)", id="boolean"),
        pytest.param({"out": 1, "more": 2}, "declares no output parameter 'more' (there is out)", id="undeclared"),
    ],
)
def test_outputs_that_do_not_fit_are_the_users_failure(build: Any, world: Any, made: Any, message: str) -> None:
    """And are tried again like one."""
    spec = build.pipeline(build.dag({"a": build.task("c", **build.retry(1))}), {"c": build.step()})
    run = world(spec, sequence(Values(made))).go()
    assert (run["a"].state, run["a"].attempt, run["a"].failure.reason) == (State.FAILED, 1, "OutputInvalid")
    assert message in run["a"].failure.message


def test_outputs_without_bottom_are_the_users_failure(build: Any, world: Any) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    spec = build.pipeline(build.dag({"a": build.task("c")}), {"c": build.step({}, {"out": "STRING"})})
    run = world(spec, sequence(Values({"out": deep}))).go()
    assert run["a"].failure.message == "the output parameter 'out': nested more than 100 levels deep. Write an artifact"


def test_whole_numbers_stay_whole(build: Any, world: Any) -> None:
    spec = build.pipeline(build.dag({"a": build.task("c")}), {"c": build.step()})
    made = world(spec, sequence(Values({"out": 11.0}))).go()["a"].outputs.parameters["out"]
    assert (made, type(made)) == (11, int)


class TestCache:
    def spec(self, build: Any, **fields: Any) -> Any:
        options = {"cachingOptions": {"enableCache": True, **fields}}
        components = {"c": build.step({"a": "NUMBER_INTEGER"})}
        tasks = {"a": build.task("c", {"a": build.const(1)}, **options), "b": build.task("c", {"a": build.out("a")}, **options)}
        return build.pipeline(build.dag(tasks), components)

    def test_a_hit_is_used_and_nothing_runs(self, build: Any, world: Any) -> None:
        first = world(self.spec(build)).go()
        assert (first["a"].state, first["b"].state) == (State.SUCCEEDED, State.CACHED), "b has a's inputs"
        second = world(self.spec(build))
        second.cache = first.cache
        second.go()
        assert second.executed == []
        assert second["a"].cached_from == "earlier"
        assert second["a"].outputs == first["a"].outputs
        assert second.finish.state is State.SUCCEEDED

    def test_caching_can_be_turned_off_for_a_run(self, build: Any, world: Any) -> None:
        first = world(self.spec(build)).go()
        second = world(self.spec(build), cache=False)
        second.cache = first.cache
        assert second.go().ran() == ["a", "b"]

    def test_what_was_kept_and_does_not_fit_is_a_miss(self, build: Any, world: Any) -> None:
        run = world(self.spec(build))
        (lookup,) = run.tell(RunStarted(run.now))
        assert isinstance(lookup, LookupCache)
        (start,) = run.tell(CacheAnswered(run.now, "a", Values({"out": "text"}), "x"))
        assert isinstance(start, StartStep)
        assert run.engine.handle(CacheAnswered(run.now, "a", Values({"out": 1}), "x")) == Step(), "answered once"

    def test_a_key_of_the_users_own_leaves_inputs_out(self, build: Any, world: Any) -> None:
        run = world(self.spec(build, cacheKey="mine"), lambda step: Values({"out": 5})).go()
        assert run["a"].cache_key == run["b"].cache_key
        assert run.ran() == ["a"]


class TestCancel:
    def spec(self, build: Any) -> Any:
        components = {
            "c": build.step(),
            "exit": build.step({"s": "TASK_FINAL_STATUS"}, {}),
            "body": build.dag({"work": build.task("c"), "more": build.task("c", after=["work"])}, {"item": "NUMBER_INTEGER"}),
        }
        tasks = {
            "first": build.task("c", cachingOptions={"enableCache": True}),
            "loop": build.task("body", **build.over([1, 2, 3], limit=2)),
            "flaky": build.task("c", **build.retry(3, "10s")),
            "clean": build.task("exit", {"s": build.status("loop")}, **build.when(tolerant=True)),
        }
        return build.pipeline(build.dag(tasks), components)

    def test_everything_ends_at_once_and_exit_tasks_do_not_run(self, build: Any, world: Any) -> None:
        """The IR's documentation: a run that is being cancelled triggers no task."""
        run = world(self.spec(build))
        run.tell(RunStarted(run.now))
        run.tell(StepStarted(run.now, "loop.0.work", 0))
        run.tell(StepFailed(run.now, "flaky", 0, USER))
        told = run.cancel("enough")
        assert [i for i in told if isinstance(i, StopStep)] == [StopStep("loop.0.work", 0), StopStep("loop.1.work", 0)]
        assert told[-1] == FinishRun(State.CANCELED, Failure("canceled", "RunCanceled", "enough"), Values())
        assert set(run.states().values()) == {"CANCELED"}
        assert "loop.2" not in run.rows
        assert run.engine.handle(CancelRequested(run.now)) == Step(), "once is enough"

    def test_a_deadline_ends_everything_at_once_and_the_run_has_failed(self, build: Any, world: Any) -> None:
        run = world(self.spec(build))
        run.tell(RunStarted(run.now))
        run.tell(StepStarted(run.now, "loop.0.work", 0))
        told = run.tell(DeadlineExceeded(run.now, "too long"))
        assert StopStep("loop.0.work", 0) in told
        assert told[-1] == FinishRun(State.FAILED, Failure("user", "DeadlineExceeded", "too long"), Values())
        assert {name: state for name, state in run.states().items() if name.endswith("work") or name == "clean"} == {
            "loop.0.work": "CANCELED",
            "loop.1.work": "CANCELED",
            "clean": "CANCELED",
        }
        assert run.engine.handle(DeadlineExceeded(run.now, "again")) == Step(), "once is enough"

    def test_what_succeeded_stays_so(self, build: Any, world: Any) -> None:
        spec = build.pipeline(build.dag({"a": build.task("c"), "b": build.task("c", after=["a"])}), {"c": build.step()})
        run = world(spec)
        run.tell(RunStarted(run.now))
        run.deliver(run.events()[0]())
        run.cancel()
        assert run.states() == {"a": "SUCCEEDED", "b": "CANCELED"}
        assert run.finish.failure.message == "The run was cancelled."

    def test_before_the_start_there_is_only_a_root(self, build: Any, world: Any) -> None:
        run = world(self.spec(build))
        assert run.cancel() == (FinishRun(State.CANCELED, run[""].failure, Values()),)
        assert run.engine.handle(RunStarted(run.now)) == Step()

    def test_after_a_restart_the_end_and_the_stops_are_told_again(self, build: Any, world: Any) -> None:
        run = world(self.spec(build))
        run.tell(RunStarted(run.now))
        told = run.cancel()
        run.restart()
        again = run.engine.handle(Resumed(run.now))
        assert not again.changed
        assert again.instructions[-1] == told[-1]
        assert StopStep("loop.0.work", 0) in again.instructions
        assert StopStep("loop.1.work", 0) in again.instructions


def test_resuming_gives_every_owed_instruction_again_and_changes_nothing(build: Any, world: Any) -> None:
    components = {"c": build.step(), "i": build.step({}, {"@artifact": "system.Dataset"})}
    executors = {"imp": {"importer": {"artifactUri": {"constant": "s3://b/k"}, "typeSchema": {"schemaTitle": "system.Dataset"}}}}
    components["i"]["executorLabel"] = "imp"
    tasks = {
        "cached": build.task("c", cachingOptions={"enableCache": True}),
        "starting": build.task("c"),
        "running": build.task("c"),
        "retrying": build.task("c", **build.retry(1, "60s")),
        "importing": build.task("i"),
        "later": build.task("c", after=["running"]),
    }
    run = world(build.pipeline(build.dag(tasks), components, executors))
    given = {i.task: i for i in run.tell(RunStarted(run.now))}
    run.tell(StepStarted(run.now, "running", 0))
    (given["retrying"],) = run.tell(StepFailed(run.now, "retrying", 0, USER))
    run.restart()
    again = run.engine.handle(Resumed(run.now))
    assert {i.task: i for i in again.instructions} == given
    assert not again.changed
    assert run.engine.wants("running", 0)
    assert not run.engine.wants("retrying", 1), "it waits"
    assert not run.engine.wants("cached", 0), "nobody knows yet whether it must run"


def test_a_clock_set_back_does_not_lengthen_a_wait(build: Any, world: Any) -> None:
    spec = build.pipeline(build.dag({"a": build.task("c", **build.retry(1, "60s"))}), {"c": build.step()})
    run = world(spec)
    run.tell(RunStarted(run.now))
    run.tell(StepFailed(run.now, "a", 0, USER))
    earlier = run.now - timedelta(hours=1)
    step = run.engine.handle(Resumed(earlier))
    assert step.instructions == (WakeAt("a", earlier + timedelta(seconds=60)),)
    assert [t.retry_at for t in step.changed] == [earlier + timedelta(seconds=60)]


def test_bad_arguments_end_the_run_with_their_message(build: Any, world: Any) -> None:
    spec = build.pipeline(build.dag({}, {"n": "NUMBER_INTEGER"}))
    run = world(spec, parameters={"n": "x", "m": 1}).go()
    assert run.finish.state is State.FAILED
    assert run.finish.failure.reason == "ParametersInvalid"
    assert "there is no parameter 'm'" in run.finish.failure.message
    assert "the parameter 'n': expected an integer" in run.finish.failure.message
