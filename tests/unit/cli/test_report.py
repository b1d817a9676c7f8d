"""What stands on the screen when a run is over."""

import pytest

from kedge.cli.progress import PlainLines
from kedge.cli.report import draw_matrix, failed_step, print_failure
from kedge.display.results import Matrix
from kedge.display.tasks import TaskView
from kedge.testing.clock import FakeClock


def view(task_id: str, state: str, **more: object) -> TaskView:
    return TaskView.from_json({"id": task_id, "state": state, "started_at": "2026-11-23T09:00:00Z", **more})


def test_a_matrix_is_drawn_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.style", lambda text, **_: text)
    assert draw_matrix(Matrix("m", ("Adelie", "Gentoo"), ((44, 1), (0, 37)))) == [
        "           Adelie   Gentoo",
        "         ┌────────┬────────┐",
        "  Adelie │     44 │      1 │",
        "  Gentoo │      0 │     37 │",
        "         └────────┴────────┘",
    ]


def test_the_step_to_blame_is_the_first_that_failed_for_a_reason_of_its_own() -> None:
    tasks = [
        view("late", "FAILED", failure={"kind": "user", "message": "late"}, finished_at="2026-11-23T09:00:09Z"),
        view("first", "FAILED", failure={"kind": "user", "message": "first"}, finished_at="2026-11-23T09:00:03Z"),
        view("upstream", "FAILED", failure={"kind": "upstream", "message": "x"}, finished_at="2026-11-23T09:00:01Z"),
    ]
    blamed = failed_step(tasks)
    assert blamed is not None
    assert blamed.id == "first"


def test_a_failure_names_the_step_its_message_and_its_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_failure(
        "run-1", view("train", "FAILED", attempt=1, failure={"message": "ValueError: no rows"}), [f"line {n}" for n in range(30)]
    )
    shown = capsys.readouterr().err
    assert "train failed (attempt 2)\n  ValueError: no rows\n" in shown
    assert "`kedge logs run-1 train` prints all" in shown
    assert "| line 29" in shown
    assert "| line 14\n" not in shown


def test_plain_lines_tell_each_change_of_a_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainLines(FakeClock())
    for task in [
        view("", "RUNNING", kind="dag"),
        view("train", "PENDING"),
        view("train", "RUNNING"),
        view("train", "RUNNING"),
        view("train", "PENDING", attempt=1, failure={"message": "oops"}),
        view("train", "SUCCEEDED", attempt=1, finished_at="2026-11-23T09:00:02Z"),
    ]:
        shown.update(task)
    assert [line.split(None, 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "RUNNING    train",
        "PENDING    train  (attempt 2)  - oops",
        "SUCCEEDED  train  (attempt 2)  in 2.0 s",
    ]
