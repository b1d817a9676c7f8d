"""A Pod's life, step by step: what is seen → what is done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.node.lifecycle import Container, Ending, Exit, Plan, Seen, Stop, decide, delay_after

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


def probing(**probed: bool) -> Container:
    made = running()
    made.probed = probed
    return made


LIVELY = {"name": "main", "livenessProbe": {"terminationGracePeriodSeconds": 7}, "startupProbe": {}}


@pytest.mark.parametrize(
    ("pod", "container", "stopped"),
    [
        pytest.param(spec(containers=[LIVELY]), probing(livenessProbe=True), [], id="well"),
        pytest.param(
            spec(containers=[LIVELY, {"name": "b"}]),
            probing(livenessProbe=False),
            [Stop("main", 7, "Container main failed liveness probe")],
            id="liveness, with a grace period of its own",
        ),
        pytest.param(
            spec(containers=[LIVELY]),
            probing(livenessProbe=False),
            [Stop("main", 30, "Stopping container main")],
            id="liveness of the only one",
        ),
        pytest.param(
            spec(containers=[LIVELY], restartPolicy="OnFailure"),
            probing(startupProbe=False),
            [Stop("main", 30, "Container main failed startup probe, will be restarted")],
            id="startup",
        ),
        pytest.param(spec(), probing(postStart=False), [Stop("main", 30, "FailedPostStartHook")], id="hook"),
    ],
)
def test_a_container_is_ended_when_its_probes_say_so(pod: Obj, container: Container, stopped: list[Stop]) -> None:
    made = plan(pod, {"main": container, "b": running()})
    assert (made.stop, made.phase, made.over) == (stopped, "Running", False)


def test_a_sidecar_is_ended_in_other_words_and_holds_back_what_follows_until_it_has_started() -> None:
    side = {**SIDECAR, "startupProbe": {"periodSeconds": 1}}
    assert plan(spec(initContainers=[side]), {"side": running()}).start == []
    assert plan(spec(initContainers=[side]), {"side": probing(startupProbe=True)}).start == ["main"]
    made = plan(spec(initContainers=[side]), {"side": probing(startupProbe=False)})
    assert made.stop == [Stop("side", 30, "Init container side failed startup probe")]


def test_what_follows_a_hook_after_a_start_waits_for_it() -> None:
    pod = spec(containers=[{"name": "main", "lifecycle": {"postStart": {"sleep": {"seconds": 1}}}}, {"name": "b"}])
    assert plan(pod, {}).start == ["main"]
    hooking = running()
    hooking.hooking = True
    assert (plan(pod, {"main": hooking}).start, plan(pod, {"main": hooking}).phase) == ([], "Pending")
    assert plan(pod, {"main": running()}).start == ["b"]


def test_the_delay_begins_anew_after_an_attempt_that_ran_for_long() -> None:
    known = ended(1, attempt=6)
    assert delay_after(known) == 300
    assert known.exit is not None
    known.exit = replace(known.exit, started_at=NOW - timedelta(hours=1))
    assert delay_after(known) == 0
    again = known.next()
    again.exit = ended(1).exit
    assert (again.attempt, delay_after(again)) == (7, 10)


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_another_image_is_another_container_whatever_the_policy(policy: str) -> None:
    pod = spec(containers=[{"name": "main", "image": "busybox:2"}], restartPolicy=policy)
    known = replace(running(attempt=3), image="busybox:1")
    containers = {"main": known}
    assert plan(pod, containers).stop == [Stop("main", 30, "Container main definition changed, will be restarted")]
    known.stopping = True
    assert (plan(pod, containers).stop, known.replaced) == ([], True)
    containers["main"] = replace(ended(attempt=3), image="busybox:1", replaced=True)
    assert (plan(pod, containers).start, plan(pod, containers).phase) == (["main"], "Running")
    containers["main"] = replace(running(attempt=4), image="busybox:2")
    assert plan(pod, containers).stop == []


def test_an_image_that_is_not_known_or_has_ended_is_no_other_one() -> None:
    pod = spec(containers=[{"name": "main", "image": "busybox:2"}])
    assert plan(pod, {"main": running()}).stop == []
    assert plan(pod, {"main": replace(ended(), image="busybox:1")}).over
