"""Lines of the host's log: for people, and for programs that look for a run's."""

import ast
import json
import logging
from pathlib import Path

import pytest

import kedge
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


_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def _unstructured(source: str) -> list[str]:
    """Calls of the log whose message is not a constant, or has values in it."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)):
            continue
        name = node.func.attr
        if node.func.value.id != "_log" or name not in _LEVELS | {"log"}:
            continue
        message = node.args[1:] if name == "log" else node.args
        if len(message) != 1 or not isinstance(message[0], ast.Constant) or "%" in str(message[0].value):
            found.append(ast.unparse(node))
    return found


def test_messages_are_constants_and_values_are_fields() -> None:
    package = Path(kedge.__file__).parent
    found = {
        str(path.relative_to(package)): calls for path in package.rglob("*.py") if (calls := _unstructured(path.read_text()))
    }
    assert found == {}, "say what it is about with extra={...}"
    assert _unstructured("_log.log(level, f'{a}'); _log.info('%s', a); _log.error('b', extra={'a': a})") == [
        "_log.log(level, f'{a}')",
        "_log.info('%s', a)",
    ]
