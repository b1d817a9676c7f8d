"""Lines of the host's log: for people, and for programs that look for a run's."""

import json
import logging

import pytest

from kedge.logs import JsonLines, TextLines


def record(**fields: object) -> logging.LogRecord:
    made = logging.getLogger("kedge.x").makeRecord("kedge.x", logging.WARNING, "f", 1, "a run waits", (), None, extra=fields)
    made.created = 1_764_000_000.25
    return made


def test_a_line_of_json_has_the_message_and_its_fields() -> None:
    line = json.loads(JsonLines().format(record(run_id="7c", task_id="train", seconds=0.5, pod="")))
    assert line == {
        "time": "2025-11-24T16:00:00.250Z",
        "level": "warning",
        "logger": "kedge.x",
        "message": "a run waits",
        "run_id": "7c",
        "task_id": "train",
        "seconds": 0.5,
    }


def test_a_traceback_is_within_the_same_line() -> None:
    with pytest.raises(ValueError, match="x") as caught:
        raise ValueError("x")
    made = record(run_id="7c")
    made.exc_info = caught._excinfo
    text = JsonLines().format(made)
    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: x")


def test_a_line_for_people_ends_with_its_fields() -> None:
    line = TextLines().format(record(run_id="7c", error='disk "full"\nnow'))
    assert line.endswith(' WARNING kedge.x: a run waits run_id=7c error="disk \\"full\\"\\nnow"')
