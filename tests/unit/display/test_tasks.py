"""The tree of tasks fits the screen and shows what matters."""

from datetime import UTC, datetime, timedelta

import pytest

from kedge.display.tasks import TaskView, duration, tree

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def task(task_id: str, state: str = "SUCCEEDED", kind: str = "step", **more: object) -> TaskView:
    parent, _, name = task_id.rpartition(".")
    body = {
        "id": task_id,
        "name": name,
        "parent": parent,
        "kind": kind,
        "state": state,
        "started_at": "2026-11-23T09:00:00Z",
        **more,
    }
    return TaskView.from_json(body)


def drawn(tasks: list[TaskView], room: int = 40) -> list[str]:
    return [f"{line.guides}{line.label} {line.detail}".rstrip() for line in tree(tasks, room=room)]


def test_tasks_stand_under_the_dag_they_are_in() -> None:
    tasks = [
        task("", kind="dag", parent=None),
        task("a"),
        task("each", kind="loop", iterations=2),
        task("each.0", kind="dag"),
        task("each.0.b"),
        task("each.0.c"),
    ]
    assert drawn(tasks) == ["├─ a", "└─ each 1/2", "   └─ [0]", "      ├─ b", "      └─ c"]


def test_an_iteration_of_one_step_is_one_line() -> None:
    tasks = [task("each", kind="loop", iterations=1), task("each.0", kind="dag"), task("each.0.b", attempt=1)]
    assert drawn(tasks) == ["└─ each 1/1", "   └─ [0] b attempt 2"]


def test_what_people_call_a_task_stands_before_the_name_that_commands_take() -> None:
    tasks = [
        task("for-loop-1", kind="loop", iterations=1, display_name="every number"),
        task("for-loop-1.0", kind="dag"),
        task("for-loop-1.0.b", display_name="The work"),
        task("c", display_name="c"),
    ]
    assert drawn(tasks) == ["├─ c", "└─ every number (for-loop-1) 1/1", "   └─ [0] The work (b)"]


def test_iterations_stand_in_the_order_of_their_items() -> None:
    tasks = [task("each", kind="loop", iterations=11), *(task(f"each.{n}") for n in (10, 2, 0))]
    assert drawn(tasks) == ["└─ each 3/11", "   ├─ [0]", "   ├─ [2]", "   └─ [10]"]


def test_a_loop_that_does_not_fit_is_folded_to_what_runs_and_what_failed() -> None:
    states = {7: "RUNNING", 9: "FAILED"}
    tasks = [task("each", "RUNNING", "loop", iterations=1000)]
    tasks += [task(f"each.{n}", states.get(n, "SUCCEEDED" if n < 500 else "PENDING")) for n in range(1000)]
    assert drawn(tasks, room=10) == ["└─ each 499/1000, 1 failed", "   ├─ [7]", "   └─ [9]"]


def test_more_running_tasks_than_lines_end_in_a_line_that_says_so() -> None:
    tasks = [task(f"t{n:02}", "RUNNING") for n in range(30)]
    lines = drawn(tasks, room=5)
    assert len(lines) == 5
    assert lines[-1] == "… and 26 more"


def test_attempts_and_failures_are_told() -> None:
    failure = {"kind": "user", "message": "ValueError: no rows\nand more"}
    assert drawn([task("a", "FAILED", attempt=2, failure=failure)]) == ["└─ a attempt 3 · ValueError: no rows"]


def test_a_message_that_says_how_to_mend_it_is_told_to_its_end() -> None:
    message = (
        "the container main was ended because it used more memory than its limit. " + "Raise its limit, or " * 10 + "use less."
    )
    assert drawn([task("a", "FAILED", failure={"kind": "user", "message": message})]) == [f"└─ a {message}"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"started_at": None}, None),
        ({"started_at": "2026-11-23T09:00:00Z", "finished_at": "2026-11-23T09:00:02Z"}, 2.0),
        ({"started_at": "2026-11-23T09:00:00Z", "state": "RUNNING"}, 5.0),
        ({"started_at": "2026-11-23T09:00:00Z", "state": "SKIPPED"}, None),
    ],
    ids=["not begun", "over", "running", "over without an end"],
)
def test_durations(body: dict[str, object], expected: float | None) -> None:
    assert TaskView.from_json({"id": "a", **body}).seconds(START + timedelta(seconds=5)) == expected


def test_durations_are_written_as_people_read_them() -> None:
    assert [duration(s) for s in (None, 0.0421, 3.14159, 75, 7384)] == ["", "42 ms", "3.1 s", "1 min 15 s", "2 h 3 min"]
