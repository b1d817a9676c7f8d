"""What a PodDisruptionBudget allows, as a plain function of what was seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.control.apply import Create, Update
from kedge.control.informer import Informer
from kedge.kube.kinds import Obj
from kedge.workloads.disruptions import Disruptions, Seen

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class _Nothing:
    """No Pods are looked for: `desire` is given them."""


def desire(seen: Seen, now: datetime = NOW) -> tuple[Obj, list[str], float | None]:
    """The status as it shall be, the reasons of what is told, and when to look again."""
    pods: Any = _Nothing()
    assert not isinstance(pods, Informer)
    plan = Disruptions(pods).desire(seen, now)
    status = seen.budget["status"]
    reasons: list[str] = []
    for change in plan.changes:
        if isinstance(change, Update):
            status = change.after["status"]
        elif isinstance(change, Create):
            reasons.append(change.obj["reason"])
    return status, reasons, plan.requeue_after


def budget(spec: Obj, **status: Any) -> Obj:
    counted = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0, **status}
    return {"metadata": {"name": "b", "namespace": "n", "uid": "u", "generation": 1}, "spec": spec, "status": counted}


def pod(name: str, *, ready: bool = True, **meta: Any) -> Obj:
    state = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name, "namespace": "n", **meta}, "spec": {}, "status": {"conditions": state}}


PODS = (pod("a"), pod("b"), pod("c", ready=False))


@pytest.mark.parametrize(
    ("spec", "scales", "counts"),
    [
        ({"minAvailable": 1}, {}, (1, 2, 1, 3)),
        ({"minAvailable": 2}, {}, (0, 2, 2, 3)),
        ({"minAvailable": 3}, {}, (0, 2, 3, 3)),
        ({"minAvailable": "50%"}, {"x": 3}, (0, 2, 2, 3)),
        ({"maxUnavailable": 1}, {"x": 3}, (0, 2, 2, 3)),
        ({"maxUnavailable": "50%"}, {"x": 2, "y": 1}, (1, 2, 1, 3)),
        ({"maxUnavailable": 5}, {"x": 3}, (2, 2, 0, 3)),
        ({"minAvailable": "50%"}, {}, (0, 2, 0, 0)),
        ({}, {}, (0, 2, 0, 0)),
    ],
    ids=lambda value: str(value).replace(" ", "") if isinstance(value, dict) else "",
)
def test_the_numbers_are_kubernetes(spec: Obj, scales: dict[str, int], counts: tuple[int, ...]) -> None:
    status, _, _ = desire(Seen(budget(spec), PODS, scales))
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    assert tuple(status[name] for name in names) == counts
    (allowed,) = status["conditions"]
    assert (allowed["type"], allowed["status"]) == ("DisruptionAllowed", str(counts[0] > 0))
    assert allowed["reason"] == ("SufficientPods" if counts[0] else "InsufficientPods")
    assert status["observedGeneration"] == 1


def test_at_the_fixed_point_nothing_is_written() -> None:
    once = Seen(budget({"minAvailable": 1}), PODS)
    status, _, _ = desire(once)
    assert desire(Seen({**once.budget, "status": status}, PODS), NOW + timedelta(hours=1)) == (status, [], None)


def test_a_pod_that_was_evicted_is_not_counted_until_two_minutes_have_passed() -> None:
    noted = budget({"minAvailable": 1}, disruptedPods={"a": "2026-01-01T12:00:00Z", "gone": "2026-01-01T12:00:00Z"})
    status, _, again = desire(Seen(noted, PODS), NOW + timedelta(seconds=30))
    assert (status["currentHealthy"], status["disruptedPods"], again) == (1, {"a": "2026-01-01T12:00:00Z"}, 90)
    status, _, again = desire(Seen(noted, PODS), NOW + timedelta(minutes=3))
    assert (status["currentHealthy"], "disruptedPods" in status, again) == (2, False, None)


def test_a_pod_that_is_being_deleted_is_not_healthy() -> None:
    leaving = pod("d", deletionTimestamp="2026-01-01T12:00:00Z")
    assert desire(Seen(budget({"minAvailable": 1}), (*PODS, leaving)))[0]["currentHealthy"] == 2


def test_what_cannot_be_counted_allows_nothing_and_is_told() -> None:
    why = "jobs.batch does not implement the scale subresource"
    status, reasons, _ = desire(Seen(budget({"maxUnavailable": 1}, disruptionsAllowed=2), PODS, fault=why))
    assert (status["disruptionsAllowed"], reasons) == (0, ["CalculateExpectedPodCountFailed"])
    assert (status["conditions"][0]["reason"], status["conditions"][0]["message"]) == ("SyncFailed", why)


def test_what_is_odd_is_told() -> None:
    assert desire(Seen(budget({"minAvailable": 1}), ()))[1] == ["NoPods"]
    assert desire(Seen(budget({"maxUnavailable": 1}), PODS, {"x": 1}, unmanaged=True))[1] == ["UnmanagedPods"]
