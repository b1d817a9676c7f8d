"""When probes are carried out and what they come to, with handlers that answer what a test says."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kedge.kube.clock import SystemClock
from kedge.kube.kinds import Obj
from kedge.node.handlers import Outcome
from kedge.node.lifecycle import Container, Ending, Seen
from kedge.node.probing import Probing, Tally

CLOCK = SystemClock()


@pytest.mark.parametrize(
    ("results", "reached"),
    [
        ([False, False, False], [False, False, True]),
        ([False, True, False, False], [False, False, False, False]),
        ([True, True], [False, True]),
        ([False, False, False, False], [False, False, True, True]),
    ],
)
def test_thresholds_count_results_in_a_row(results: list[bool], reached: list[bool]) -> None:
    tally = Tally({"successThreshold": 2, "failureThreshold": 3})
    assert [tally.count(each) for each in results] == reached


class Answers:
    """Handlers whose probes come to what the test has set, by kind."""

    def __init__(self, **outcomes: bool | None) -> None:
        self.outcomes = outcomes
        self.asked: list[str] = []

    async def probe(self, pod: Obj, container: Obj, kind: str) -> Outcome:
        del pod, container
        self.asked.append(kind)
        ok = self.outcomes[kind]
        return Outcome(ok, ("", "") if ok else ("Unhealthy", f"{kind} failed"))


class Life:
    """A Pod with one container that runs, and what is told of it."""

    def __init__(self, answers: Answers, *, age: float = 0.0, **probes: Obj) -> None:
        self.container = {"name": "main", **probes}
        self.pod: Obj = {"metadata": {"uid": "u"}, "spec": {"containers": [self.container]}}
        self.known = Container(asked=True, started_at=CLOCK.now() - timedelta(seconds=age))
        self.seen = Seen({"main": self.known})
        self.told: list[tuple[str, str]] = []
        self.changes = 0
        handlers: Any = answers
        self.probing = Probing(self.pod, handlers, CLOCK, lambda *event: self.told.append(event), self.changed)

    def changed(self) -> None:
        self.changes += 1
        self.follow()

    def follow(self) -> None:
        self.probing.follow(self.pod, self.seen)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


async def test_a_container_is_ready_as_soon_as_it_is_and_nobody_is_told_that_it_was_not() -> None:
    answers = Answers(readinessProbe=False)
    life = Life(answers, readinessProbe={"periodSeconds": 3600})
    life.follow()
    await until(lambda: answers.asked)
    answers.outcomes["readinessProbe"] = True
    await until(lambda: life.known.probed.get("readinessProbe"))
    assert (life.told, life.changes) == ([], 1)
    life.probing.stop()


async def test_a_failure_that_counts_is_told() -> None:
    life = Life(Answers(readinessProbe=False), age=5, readinessProbe={"periodSeconds": 1, "failureThreshold": 2})
    life.probing._began = True  # not taken over: it starts now
    life.follow()
    await until(lambda: life.known.probed.get("readinessProbe") is False)
    assert life.told == [("Unhealthy", "readinessProbe failed")] * 2
    life.probing.stop()


async def test_what_cannot_be_carried_out_counts_as_nothing() -> None:
    life = Life(Answers(livenessProbe=None), age=1, livenessProbe={"periodSeconds": 1, "failureThreshold": 1})
    life.follow()
    await until(lambda: life.told)
    assert life.known.probed == {}
    life.probing.stop()


async def test_liveness_is_not_asked_before_the_startup_probe_has_succeeded_nor_startup_after() -> None:
    answers = Answers(startupProbe=False, livenessProbe=True, readinessProbe=True)
    spec: Obj = {"periodSeconds": 1, "failureThreshold": 60}
    life = Life(answers, startupProbe=spec, livenessProbe=spec, readinessProbe=spec)
    life.follow()
    await until(lambda: len(answers.asked) >= 3)
    assert set(answers.asked) == {"startupProbe"}
    answers.outcomes["startupProbe"] = True
    await until(lambda: {"livenessProbe", "readinessProbe"} <= set(answers.asked))
    assert "startupProbe" not in answers.asked[answers.asked.index("readinessProbe") :]
    life.probing.stop()


async def test_a_container_that_has_failed_is_asked_no_more_until_it_is_another() -> None:
    answers = Answers(livenessProbe=False)
    life = Life(answers, age=1, livenessProbe={"periodSeconds": 1, "failureThreshold": 1})
    life.follow()
    await until(lambda: life.known.probed.get("livenessProbe") is False)
    assert len(answers.asked) == 1
    assert not life.probing._watches  # nothing waits
    life.seen.containers["main"] = life.known = Container(1, asked=True, started_at=CLOCK.now())
    answers.outcomes["livenessProbe"] = True
    life.follow()
    await until(lambda: life.known.probed.get("livenessProbe"))
    life.probing.stop()


async def test_a_pod_that_ends_is_asked_whether_it_is_ready_alone() -> None:
    life = Life(
        Answers(livenessProbe=True, readinessProbe=True), livenessProbe={"periodSeconds": 9}, readinessProbe={"periodSeconds": 9}
    )
    life.seen.ending = Ending(CLOCK.now(), 30)
    life.follow()
    assert [kind for _, kind in life.probing._watches] == ["readinessProbe"]
    life.probing.stop()


async def test_what_is_taken_over_is_not_asked_all_at_once() -> None:
    answers = Answers(livenessProbe=True)
    life = Life(answers, age=100, livenessProbe={"periodSeconds": 1000})
    life.follow()
    (watch,) = life.probing._watches.values()
    assert 10 < watch.due - asyncio.get_running_loop().time() < 1000
    life.probing.stop()
