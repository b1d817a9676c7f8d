"""The arithmetic of rolling updates: the numbers are those of a real cluster, or follow from Kubernetes' documentation."""

from typing import Any

import pytest

from kedge.kube.kinds import Obj
from kedge.workloads import shares


def deployment(replicas: int, surge: Any = "25%", away: Any = "25%") -> Obj:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": away}}
    return {"metadata": {"name": "d"}, "spec": {"replicas": replicas, "strategy": strategy}}


def replica_set(name: str, replicas: int, available: int = 0, most: int = 0, age: int = 0) -> Obj:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-11-29T12:00:{59 - age:02}Z",
            "annotations": {shares.MOST: str(most)} if most else {},
        },
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "away", "expected"),
    [
        pytest.param(4, "25%", "25%", (1, 1), id="exact"),
        pytest.param(3, "25%", "25%", (1, 0), id="surge is rounded up, away is rounded down"),
        pytest.param(1, "0%", "50%", (0, 1), id="both rounded to nothing: one may be away"),
        pytest.param(2, 0, 5, (0, 2), id="no more can be away than are wanted"),
        pytest.param(10, "300%", 0, (30, 0), id="more than all at once"),
    ],
)
def test_bounds(replicas: int, surge: Any, away: Any, expected: tuple[int, int]) -> None:
    assert shares.bounds(deployment(replicas, surge, away)) == expected


def test_what_is_recreated_has_no_bounds() -> None:
    assert shares.bounds({"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}) == (0, 0)


@pytest.mark.parametrize(
    ("wanted", "old", "current", "expected"),
    [
        pytest.param(4, 4, 0, 1, id="the surge"),
        pytest.param(4, 3, 1, 2, id="what went makes room"),
        pytest.param(4, 0, 1, 4, id="never more than are wanted"),
        pytest.param(4, 4, 1, 1, id="no room"),
    ],
)
def test_the_newest_grows_into_the_room_there_is(wanted: int, old: int, current: int, expected: int) -> None:
    assert shares.new_size(deployment(wanted), [replica_set("old", old)], current) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param([("a", 4, 4)], (1, 0), {"a": 3}, id="as many go as may be away"),
        pytest.param([("a", 3, 3)], (2, 0), {}, id="no more than that"),
        pytest.param([("a", 3, 3)], (2, 2), {"a": 1}, id="the available new ones let more go"),
        pytest.param([("a", 4, 2)], (1, 0), {"a": 3}, id="those that are not healthy go first"),
        pytest.param([("a", 2, 0), ("b", 2, 2)], (1, 1), {"a": 0}, id="of several the oldest"),
    ],
)
def test_the_old_shrink(old: list[tuple[str, int, int]], new: tuple[int, int], expected: dict[str, int]) -> None:
    sets = [replica_set(name, size, up, age=9 - index) for index, (name, size, up) in enumerate(old)]
    assert shares.shrunk(deployment(4), sets, replica_set("new", *new)) == expected


@pytest.mark.parametrize(
    ("wanted", "sets", "expected"),
    [
        pytest.param(8, [("old", 3, 5), ("new", 2, 5)], {"old": 6, "new": 4}, id="each grows by its share"),
        pytest.param(2, [("old", 3, 5), ("new", 2, 5)], {"old": 2, "new": 1}, id="each shrinks by its share"),
        pytest.param(0, [("old", 3, 5), ("new", 2, 5)], {"old": 0, "new": 0}, id="to nothing"),
        pytest.param(5, [("old", 5, 12), ("new", 5, 12)], {"old": 3, "new": 4}, id="of equal ones the oldest gives first"),
    ],
)
def test_a_size_given_in_the_middle_of_a_rollout_is_shared_out(
    wanted: int, sets: list[tuple[str, int, int]], expected: dict[str, int]
) -> None:
    found = [replica_set(name, size, most=most, age=9 - index) for index, (name, size, most) in enumerate(sets)]
    sizes = shares.proportional(deployment(wanted), found)
    assert sum(sizes.values()) == (shares.most(deployment(wanted)) if wanted else 0)
    assert sizes == expected
