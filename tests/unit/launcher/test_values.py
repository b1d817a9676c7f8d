"""Values between JSON and annotations."""

from typing import Any

import pytest

from kedge.launcher.errors import StepError
from kedge.launcher.values import argument, from_text, result


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("a b\n", str, "a b\n"),
        ("a", None, "a"),
        (" 3 ", int, 3),
        ("3", "Integer", 3),
        ("0.5", "Float", 0.5),
        ("true", bool, True),
        ("False", "Bool", False),
        ("[1]", list, [1]),
        ('{"a": [1]}', "JsonObject", {"a": [1]}),
    ],
)
def test_the_text_of_an_output_file_is_read_by_its_type(text: str, annotation: Any, value: Any) -> None:
    assert from_text("out", text, annotation) == value


@pytest.mark.parametrize(("text", "annotation"), [("3.5", int), ("yes", bool), ("{}", list), ("nan", float), ("", int)])
def test_text_of_another_type_is_refused(text: str, annotation: Any) -> None:
    with pytest.raises(StepError, match="output 'out'"):
        from_text("out", text, annotation)


def test_ints_stay_ints_and_floats_become_floats() -> None:
    assert type(argument("x", 3.0, int)) is int
    assert type(argument("x", 3, float)) is float
    assert type(result("x", 3, float)) is float
    assert argument("x", 10**30, int) == 10**30


def test_a_number_with_a_fraction_is_no_int() -> None:
    with pytest.raises(StepError, match=r"input 'x': 3.5 \(float\) is not an int"):
        argument("x", 3.5, int)


@pytest.mark.parametrize("value", [[1], {"a": None}, "text", 1, 0.5, True, None])
def test_a_result_without_annotation_is_taken_when_json_can_say_it(value: Any) -> None:
    assert result("x", value, None) == value


@pytest.mark.parametrize(("value", "annotation"), [((1, 2), list), ([1], dict), (1, str), ("1", int), (0, bool)])
def test_a_result_of_another_type_is_refused_and_both_are_named(value: Any, annotation: type) -> None:
    with pytest.raises(StepError, match=f"of type {type(value).__name__}, but it is declared as {annotation.__name__}"):
        result("x", value, annotation)
