"""Parameter values: what fits which type, and how values read as text."""

from typing import Any

import pytest

from kedge.pipelines.engine import values
from kedge.pipelines.spec import InputParameter, ParameterType


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (11, "11"),
        (11.0, "11"),
        (-0.5, "-0.5"),
        (1e300, "1e+300"),
        (1e15, "1000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (True, "true"),
        (None, "null"),
        ("x", "x"),
        ([1, 2.0, "é"], '[1,2.0,"é"]'),
        ({"a": {"b": None}}, '{"a":{"b":null}}'),
        (2**80, str(2**80)),
        ([2**80], f"[{2**80}]"),
    ],
)
def test_text(value: Any, text: str) -> None:
    assert values.as_text(value) == text


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("a", "NUMBER_INTEGER", "expected an integer (such as 5), got text (a)"),
        ("1", "NUMBER_INTEGER", "expected an integer (such as 5), got text (1)"),
        (True, "NUMBER_DOUBLE", "expected a number (such as 0.5), got a boolean (true)"),
        (10**400, "NUMBER_DOUBLE", "expected a number, got an integer too large for one"),
        (1, "BOOLEAN", "expected true or false (such as true), got an integer (1)"),
        ({}, "LIST", "expected a list (such as [1, 2]), got a mapping ({})"),
        ([], "STRUCT", 'expected a mapping (such as {"a": 1}), got a list ([])'),
        ("x", "TASK_FINAL_STATUS", "expected a task's final status, got text (x)"),
        ("x", "TASK_CONFIG", "expected a task's configuration, got text (x)"),
        ("x" * 100, "LIST", f"got text ({'x' * 57}…)"),
    ],
)
def test_what_does_not_fit(value: Any, kind: str, message: str) -> None:
    with pytest.raises(values.MismatchError) as error:
        values.conform(value, ParameterType(kind))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "NUMBER_INTEGER", 3),
        ("1", "NUMBER_DOUBLE", 1.0),
        ("true", "BOOLEAN", True),
        ("[1]", "LIST", [1]),
        ('{"a": 1}', "STRUCT", {"a": 1}),
    ],
)
def test_text_can_be_read_as_a_value_of_the_type(text: str, kind: str, value: Any) -> None:
    assert values.conform(text, ParameterType(kind), parse=True) == value


@pytest.mark.parametrize("text", ["x", "1.5", "[", "[" * 5000, '"3"'])
def test_text_that_spells_no_such_value_does_not_fit(text: str) -> None:
    with pytest.raises(values.MismatchError, match="expected an integer"):
        values.conform(text, ParameterType.INTEGER, parse=True)


def test_literals() -> None:
    definition = InputParameter(parameter_type=ParameterType.INTEGER, literals=[1, 2])
    assert values.conform_input(2.0, definition) == 2
    with pytest.raises(values.MismatchError, match=r"^expected one of 1, 2, got an integer \(3\)$"):
        values.conform_input(3, definition)


def test_an_input_of_no_stated_type_is_text() -> None:
    assert values.conform_input(1, InputParameter()) == "1"
