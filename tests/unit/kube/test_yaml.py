"""YAML of objects that people edit."""

import pytest

from kedge.errors import BadRequest
from kedge.kube.yaml import line_of, read, write

POD = """\
kind: Pod
metadata:
  name: a
  labels:
    app.kubernetes.io/name: x
spec:
  containers:
  - name: a
    image: b
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("kind", 1),
        ("metadata.labels", 4),
        ("spec.containers[0].image", 9),
        ("spec.containers[0].args[3]", 8),
        ("spec.containers[7]", 7),
        ("status.phase", 0),
        ("", 0),
    ],
)
def test_a_field_is_found_in_the_text_or_what_holds_it(field: str, line: int) -> None:
    assert line_of(POD, field) == line


def test_what_is_no_yaml_has_no_lines_of_fields() -> None:
    assert line_of("a: [", "a") == 0


def test_a_time_stays_the_text_that_was_written() -> None:
    assert read("at: 2026-11-28T20:00:00Z") == {"at": "2026-11-28T20:00:00Z"}


def test_what_is_written_is_read_back() -> None:
    value = {"a": ["n", "1e3", "0o7", "on", "2026-01-01"], "b": {"c": None, "d": 1.5}}
    assert read(write(value)) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [", "line 3, column 1: not YAML"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("---\na: 1\n---\nb: 2", "another document"),
        ("a: .inf", "no number that JSON has"),
        ("[" * 200 + "]" * 200, "nested more than 100 levels deep"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read(text)
