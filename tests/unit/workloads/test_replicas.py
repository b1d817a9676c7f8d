"""Whose Pods are whose, which go first, and what new ones are called."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.kube.apps import REPLICA_SET
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import owner_reference
from kedge.kube.pods import is_active
from kedge.workloads import replicas
from kedge.workloads.claiming import claim

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OWNER: Obj = {
    "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}},
}


def pod(name: str, *, age: int = 60, ready: int | None = None, node: str = "n", phase: str = "Running", **meta: Any) -> Obj:
    """A Pod; ``age`` and ``ready`` are how many seconds ago it was made and became ready."""
    conditions = []
    if ready is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": _ago(ready)}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}, "creationTimestamp": _ago(age), **meta},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions},
    }


def _ago(seconds: int) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(pod("a", node="", phase="Pending"), pod("b", phase="Pending"), id="unassigned before assigned"),
        pytest.param(pod("b", phase="Pending"), pod("a"), id="pending before running"),
        pytest.param(pod("b"), pod("a", ready=5), id="not ready before ready"),
        pytest.param(
            pod("b", ready=50, annotations={replicas.DELETION_COST: "-3"}), pod("a", ready=5), id="the cheaper to delete"
        ),
        pytest.param(pod("b", ready=5), pod("a", ready=50), id="ready for less time"),
        pytest.param(pod("b", age=5), pod("a", age=50), id="the newer"),
    ],
)
def test_pods_are_given_up_in_this_order(first: Obj, then: Obj) -> None:
    assert replicas.deletion_order([then, first]) == [first, then] == replicas.deletion_order([first, then])


def test_of_nodes_the_most_crowded_gives_up_first() -> None:
    pods = [pod("a", node="one", ready=5), pod("b", node="two", ready=5), pod("c", node="two", ready=5)]
    assert [each["metadata"]["name"] for each in replicas.deletion_order(pods)] == ["b", "c", "a"]


def test_a_restarted_pod_goes_before_one_that_was_not() -> None:
    steady, restarted = pod("a", ready=5), pod("b", ready=5)
    restarted["status"]["containerStatuses"] = [{"restartCount": 2}]
    assert replicas.deletion_order([steady, restarted])[0] is restarted


def test_it_adopts_what_matches_and_has_no_controller_and_releases_what_no_longer_matches() -> None:
    mine, other = [owner_reference(REPLICA_SET, OWNER)], [{"uid": "x", "controller": True, "kind": "Job", "name": "j"}]
    found = {
        "orphan": pod("orphan"),
        "own": pod("own", ownerReferences=mine),
        "renamed": pod("renamed", labels={}, ownerReferences=mine),
        "others": pod("others", ownerReferences=other),
        "going": pod("going", deletionTimestamp=_ago(1)),
        "ended": pod("ended", phase="Failed"),
        "strange": pod("strange", labels={}),
    }
    claimed = claim(REPLICA_SET, OWNER, found.values(), of=POD, fits=is_active)
    assert [each["metadata"]["name"] for each in claimed.mine] == ["orphan", "own"]
    written = {change.after["metadata"]["name"]: change.after["metadata"].get("ownerReferences") for change in claimed.changes}  # pyright: ignore[reportAttributeAccessIssue]
    assert written == {"orphan": mine, "renamed": None}


def test_an_owner_that_is_being_deleted_adopts_and_releases_nothing() -> None:
    owner = {**OWNER, "metadata": {**OWNER["metadata"], "deletionTimestamp": _ago(1)}}
    renamed = pod("renamed", labels={}, ownerReferences=[owner_reference(REPLICA_SET, OWNER)])
    claimed = claim(REPLICA_SET, owner, [pod("orphan"), renamed], of=POD)
    assert (claimed.mine, claimed.changes) == ((renamed,), ())


def test_who_plans_the_same_again_names_the_same_pods_and_none_that_is_there() -> None:
    names = replicas.new_names(OWNER, (), 3)
    assert names == replicas.new_names(OWNER, (), 3)
    assert replicas.new_names(OWNER, names[:1], 3)[:2] == names[1:]
    later = {**OWNER, "metadata": {**OWNER["metadata"], "resourceVersion": "8"}}
    assert not set(names) & set(replicas.new_names(later, (), 3))
    assert all(name.startswith("web-") and len(name) == len("web-") + 5 for name in names)


def test_a_pod_is_available_when_it_has_been_ready_for_long_enough() -> None:
    young, old = pod("a", ready=3), pod("b", ready=30)
    assert [replicas.available_in(each, 10, NOW) for each in (young, old, pod("c"))] == [7.0, 0.0, None]
    assert replicas.soonest([young, old], 10, NOW) == 7.0
    assert replicas.soonest([old], 10, NOW) is None
