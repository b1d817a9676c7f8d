"""A Pod's life, step by step: what is seen → what is done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.node.lifecycle import Container, Ending, Exit, Plan, Seen, Stop, decide

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def spec(**more: Any) -> Obj:
    return {"containers": [{"name": "main"}], "restartPolicy": "Never", "terminationGracePeriodSeconds": 30, **more}


def running(attempt: int = 0) -> Container:
    return Container(attempt, asked=True, started_at=NOW - timedelta(seconds=5))


def ended(code: int = 0, attempt: int = 0, *, ago: float = 0.0) -> Container:
    start, finish = NOW - timedelta(seconds=ago + 5), NOW - timedelta(seconds=ago)
    return Container(attempt, asked=True, started_at=start, exit=Exit(code, 0, "", "", start, finish))


def plan(pod: Obj, containers: dict[str, Container], ending: Ending | None = None) -> Plan:
    return decide(pod, Seen(containers, started_at=NOW - timedelta(seconds=10), ending=ending), NOW)


SIDECAR = {"name": "side", "restartPolicy": "Always"}
INIT = [{"name": "one"}, {"name": "two"}]


@pytest.mark.parametrize(
    ("pod", "seen", "start", "phase"),
    [
        pytest.param(spec(), {}, ["main"], "Pending", id="starts its container"),
        pytest.param(spec(), {"main": Container(asked=True)}, [], "Pending", id="waits for it to start"),
        pytest.param(spec(), {"main": running()}, [], "Running", id="runs"),
        pytest.param(spec(initContainers=INIT), {}, ["one"], "Pending", id="first init"),
        pytest.param(spec(initContainers=INIT), {"one": running()}, [], "Pending", id="init runs"),
        pytest.param(spec(initContainers=INIT), {"one": ended()}, ["two"], "Pending", id="second init"),
        pytest.param(spec(initContainers=INIT), {"one": ended(), "two": ended()}, ["main"], "Pending", id="after init"),
        pytest.param(spec(initContainers=[SIDECAR]), {}, ["side"], "Pending", id="sidecar first"),
        pytest.param(spec(initContainers=[SIDECAR]), {"side": Container(asked=True)}, [], "Pending", id="until it runs"),
        pytest.param(spec(initContainers=[SIDECAR]), {"side": running()}, ["main"], "Pending", id="then main"),
        pytest.param(
            spec(initContainers=[SIDECAR]), {"side": ended(1), "main": running()}, ["side"], "Running", id="a sidecar that ended"
        ),
        pytest.param(spec(restartPolicy="Always"), {"main": ended(0)}, ["main"], "Running", id="Always"),
        pytest.param(spec(restartPolicy="OnFailure"), {"main": ended(1)}, ["main"], "Running", id="OnFailure"),
        pytest.param(
            spec(restartPolicy="OnFailure", initContainers=INIT), {"one": ended(1)}, ["one"], "Pending", id="a failed init again"
        ),
        pytest.param(
            spec(restartPolicy="OnFailure", initContainers=INIT),
            {"main": ended(1), "two": ended()},
            ["main"],
            "Running",
            id="init is not repeated for main",
        ),
    ],
)
def test_what_is_started(pod: Obj, seen: dict[str, Container], start: list[str], phase: str) -> None:
    made = plan(pod, seen)
    assert (made.start, made.phase, made.over, made.stop) == (start, phase, False, [])


@pytest.mark.parametrize(
    ("pod", "seen", "phase"),
    [
        pytest.param(spec(), {"main": ended(0)}, "Succeeded", id="exit 0"),
        pytest.param(spec(), {"main": ended(1)}, "Failed", id="exit 1"),
        pytest.param(spec(restartPolicy="OnFailure"), {"main": ended(0)}, "Succeeded", id="OnFailure, exit 0"),
        pytest.param(spec(initContainers=INIT), {"one": ended(1)}, "Failed", id="init fails"),
        pytest.param(
            spec(initContainers=[SIDECAR]), {"side": ended(9), "main": ended(0)}, "Succeeded", id="a sidecar's end does not count"
        ),
        pytest.param(
            spec(containers=[{"name": "main"}, {"name": "b"}]), {"main": ended(0), "b": ended(2)}, "Failed", id="one of two fails"
        ),
    ],
)
def test_how_it_ends(pod: Obj, seen: dict[str, Container], phase: str) -> None:
    made = plan(pod, seen)
    assert (made.phase, made.over, made.start) == (phase, True, [])


def test_main_containers_are_not_stopped_because_another_has_ended() -> None:
    made = plan(spec(containers=[{"name": "main"}, {"name": "b"}]), {"main": ended(1), "b": running()})
    assert (made.over, made.stop, made.phase) == (False, [], "Running")


def test_sidecars_are_stopped_after_main_and_in_reverse() -> None:
    pod = spec(initContainers=[SIDECAR, {**SIDECAR, "name": "other"}])
    made = plan(pod, {"side": running(), "other": running(), "main": ended(0)})
    assert made.stop == [Stop("other", 30), Stop("side", 30)]
    assert (made.over, made.phase) == (False, "Running")


def test_a_deletion_stops_main_first_and_gives_sidecars_what_is_left() -> None:
    pod = spec(initContainers=[SIDECAR])
    seen = Seen({"side": running(), "main": running()}, started_at=NOW, ending=Ending(NOW, 30))
    assert decide(pod, seen, NOW).stop == [Stop("main", 30)]
    seen.containers["main"] = ended(143)
    later = NOW + timedelta(seconds=20)
    assert decide(pod, seen, later).stop == [Stop("side", 10)]


def test_a_sidecar_gets_two_seconds_when_nothing_is_left() -> None:
    pod = spec(initContainers=[SIDECAR])
    seen = Seen({"side": running(), "main": ended(137)}, started_at=NOW, ending=Ending(NOW, 30))
    assert decide(pod, seen, NOW + timedelta(seconds=31)).stop == [Stop("side", 2)]


def test_what_was_told_to_stop_is_not_told_twice() -> None:
    stopping = running()
    stopping.stopping = True
    assert plan(spec(), {"main": stopping}, Ending(NOW, 30)).stop == []


def test_a_pod_that_is_deleted_before_it_started_starts_nothing() -> None:
    made = plan(spec(), {}, Ending(NOW, 30))
    assert (made.start, made.over, made.phase) == ([], True, "Failed")


def test_a_deadline_is_looked_for_and_kept() -> None:
    pod = spec(activeDeadlineSeconds=60)
    seen = Seen({"main": running()}, started_at=NOW)
    assert decide(pod, seen, NOW).wake_at == NOW + timedelta(seconds=60)
    made = decide(pod, seen, NOW + timedelta(seconds=60))
    assert made.stop == [Stop("main", 30)]
    assert seen.ending is not None
    assert seen.ending.reason == "DeadlineExceeded"
    seen.containers["main"] = ended(0)
    assert decide(pod, seen, NOW + timedelta(seconds=61)).phase == "Failed"


@pytest.mark.parametrize(("attempt", "delay"), [(0, 0), (1, 10), (2, 20), (5, 160), (9, 300)])
def test_restarts_wait_longer_each_time(attempt: int, delay: int) -> None:
    pod = spec(restartPolicy="Always")
    made = plan(pod, {"main": ended(1, attempt)})
    if not delay:
        assert made.start == ["main"]
        return
    assert (made.start, made.waiting) == ([], {"main": "CrashLoopBackOff"})
    assert made.wake_at == NOW + timedelta(seconds=delay)
    assert plan(pod, {"main": ended(1, attempt, ago=delay)}).start == ["main"]


@pytest.mark.parametrize("code", [0, 1])
def test_at_the_end_another_look_changes_nothing(code: int) -> None:
    """The fixed point."""
    seen = Seen({"main": ended(code)}, started_at=NOW)
    first = decide(spec(), seen, NOW)
    assert decide(spec(), seen, NOW) == first
