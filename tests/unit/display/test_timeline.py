"""A run's timeline: waiting and running apart, each try a bar of its own, round moments on the axis."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.display.folding import Folding
from kedge.display.outline import outline
from kedge.display.timeline import Timeline, timeline

NOW = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)


def at(seconds: int) -> str:
    return f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z"


def tried(number: int, state: str, made: int, begun: int | None = None, ended: int | None = None) -> dict[str, Any]:
    times = {"create_time": made, "start_time": begun, "end_time": ended}
    return {"attempt": number, "state": state} | {name: at(value) for name, value in times.items() if value is not None}


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "parent": "", "kind": "step", "state": state} | more


def drawn(*tasks: dict[str, Any]) -> Timeline:
    return timeline(outline(tasks, Folding()), tasks, NOW)


def test_waiting_and_running_are_apart_and_a_second_try_has_bars_of_its_own() -> None:
    tries = [tried(0, "FAILED", 0, 20, 40), tried(1, "SUCCEEDED", 40, 60, 100)]
    row = drawn(step("train", "SUCCEEDED", attempts=tries)).rows[0]
    assert [(bar.kind, bar.state, bar.start, bar.width) for bar in row.bars] == [
        ("waiting", "PENDING", 0, 20),
        ("running", "FAILED", 20, 20),
        ("waiting", "PENDING", 40, 20),
        ("running", "SUCCEEDED", 60, 40),
    ]
    assert (row.waited, row.ran) == ("40.0 s", "1 min 0 s")


def test_what_still_runs_or_waits_goes_on_until_now() -> None:
    running, waiting = (
        step("a", "RUNNING", attempts=[tried(0, "RUNNING", 0, 60)]),
        step("b", "PENDING", attempts=[tried(0, "PENDING", 60)]),
    )
    rows = {row.row.label: row for row in drawn(running, waiting).rows}
    assert [(bar.kind, bar.start, bar.width) for bar in rows["a"].bars] == [("waiting", 0, 50), ("running", 50, 50)]
    assert [(bar.kind, bar.start, bar.width) for bar in rows["b"].bars] == [("waiting", 50, 50)]


def test_what_came_from_the_cache_is_a_mark() -> None:
    rows = drawn(step("a", "SUCCEEDED", attempts=[tried(0, "SUCCEEDED", 0, 0, 100)]), step("b", "CACHED", end_time=at(50))).rows
    assert [(bar.kind, bar.start) for row in rows if row.row.label == "b" for bar in row.bars] == [("cached", 50)]


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (7, ["0", "1.0 s", "2.0 s", "3.0 s", "4.0 s", "5.0 s", "6.0 s"]),
        (100, ["0", "15.0 s", "30.0 s", "45.0 s", "1 min 0 s", "1 min 15 s", "1 min 30 s"]),
    ],
)
def test_the_axis_names_round_moments(seconds: int, says: list[str]) -> None:
    assert [said for _, said in drawn(step("a", "SUCCEEDED", attempts=[tried(0, "SUCCEEDED", 0, 0, seconds)])).ticks] == says


def test_a_run_in_which_nothing_has_begun_has_no_bars() -> None:
    assert drawn(step("a", "PENDING")).rows[0].bars == []


@pytest.mark.parametrize(
    ("lasted", "zoom", "said"),
    [
        (0.02, 1, ["0", "5 ms", "10 ms", "15 ms"]),
        (0.02, 4, ["0", "1 ms", "2 ms", "3 ms"]),
        (12 * 86400, 1, ["0", "2 d 0 h", "4 d 0 h", "6 d 0 h"]),
        (12 * 86400, 16, ["0", "3 h 0 min", "6 h 0 min", "9 h 0 min"]),
    ],
    ids=["milliseconds", "milliseconds, wider", "days", "days, wider"],
)
def test_moments_are_named_as_far_apart_as_there_is_room(lasted: float, zoom: int, said: list[str]) -> None:
    begun = NOW - timedelta(seconds=lasted)
    made = step("a", "RUNNING", start_time=begun.isoformat().replace("+00:00", "Z"))
    found = timeline(outline([made], Folding()), [made], NOW, zoom)
    assert [each for _, each in found.ticks[:4]] == said
    assert found.rows[0].bars[0].width == 100
