"""The live tree fits the terminal that it is drawn on; lines tell what happens while somebody looks on."""

from datetime import UTC, datetime

import pytest
from rich.console import Group

from kedge.cli.progress import LiveTree, PlainLines
from kedge.display.tasks import TaskView
from kedge.testing.clock import FakeClock


def test_states_and_times_are_seen_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "20")
    tree = LiveTree(
        "penguins-x7k2p  3f0c1c1e-6a56-4f0e-9c43-0d7a1c2a4b11", FakeClock(datetime(2026, 11, 24, 9, 0, 2, tzinfo=UTC))
    )
    began = "2026-11-24T09:00:00Z"
    for body in (
        {"id": "", "kind": "dag", "state": "RUNNING", "started_at": began},
        {"id": "clean", "name": "clean", "parent": "", "kind": "step", "state": "RUNNING", "started_at": began},
    ):
        tree.update(TaskView.from_json(body))
    with tree._console.capture() as shown:
        tree._console.print(Group(tree._render()))
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert all(len(line) <= 40 for line in lines)
    assert lines[1].startswith("1 running")
    assert "clean" in lines[2]
    assert "running" in lines[2]
    assert lines[2].endswith("2.0 s")


def test_a_step_that_ended_before_anybody_looked_is_told_with_the_time_of_its_end_and_one_that_was_kept_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    lines = PlainLines(FakeClock(datetime(2026, 11, 24, 9, 5, tzinfo=UTC)), reopened=ended)
    for name, moment in (("kept", "08:59:00"), ("new", "09:04:00")):
        times = {"started_at": f"2026-11-24T{moment}Z", "finished_at": f"2026-11-24T{moment}Z"}
        lines.update(TaskView.from_json({"id": name, "name": name, "parent": "", "kind": "step", "state": "SUCCEEDED", **times}))
    assert capsys.readouterr().out.split() == ["09:04:00", "SUCCEEDED", "new", "in", "0", "ms"]
