"""What a signature says, for every annotation that a pipeline can carry."""

# pyright: basic
# ruff: noqa: ANN202, UP006, UP035, UP007, UP045  # annotations as people write them

from collections.abc import Callable
from typing import Any, Dict, List, Literal, NamedTuple, Optional, Union

import pytest

from kedge.dsl import Artifact, Dataset, Input, InputPath, Metrics, Model, Output, OutputPath, PipelineTaskFinalStatus
from kedge.dsl.interface import MISSING, read, read_docstring


class Both(NamedTuple):
    """Two returned values."""

    first: int
    model: Model


class Foreign:
    """An artifact type of another tool: what counts is that it says its schema."""

    schema_title = "google.VertexModel"
    schema_version = "0.0.1"


INPUTS: dict[str, tuple[Any, str]] = {
    "str": (str, "str"),
    "int": (int, "int"),
    "float": (float, "float"),
    "bool": (bool, "bool"),
    "list": (list, "list"),
    "dict": (dict, "dict"),
    "List[int]": (List[int], "List[int]"),
    "list[str]": (list[str], "List[str]"),
    "List[Dict[str, int]]": (List[Dict[str, int]], "List[Dict[str, int]]"),
    "List[Any]": (List[Any], "list"),
    "Dict[str, float]": (Dict[str, float], "Dict[str, float]"),
    "Literal": (Literal["a", "b"], "str"),
    "Literal of numbers": (Literal[1, 2], "int"),
    "Optional[str]": (Optional[str], "str"),
    "Union[int, None]": (Union[int, None], "int"),
    "int | None": (int | None, "int"),
    "Input[Dataset]": (Input[Dataset], "Dataset"),
    "Optional[Input[Dataset]]": (Optional[Input[Dataset]], "Dataset"),
    "Input[List[Dataset]]": (Input[List[Dataset]], "List[Dataset]"),
    "List[Model]": (List[Model], "List[Model]"),
    "a bare artifact": (Dataset, "Dataset"),
    "Input[Artifact]": (Input[Artifact], "Artifact"),
    "another tool's artifact": (Input[Foreign], "google.VertexModel"),
    "InputPath of a class": (InputPath(Model), "Model"),
    "InputPath of a name": (InputPath("Dataset"), "Dataset"),
    "InputPath of a schema title": (InputPath("system.Metrics"), "Metrics"),
    "InputPath of anything": (InputPath(), "Artifact"),
    "PipelineTaskFinalStatus": (PipelineTaskFinalStatus, "PipelineTaskFinalStatus"),
}


def taking(annotation: Any) -> Callable[..., Any]:
    def function(value):  # noqa: ANN001
        pass

    function.__annotations__ = {"value": annotation}
    return function


@pytest.mark.parametrize("case", INPUTS)
def test_an_input_has_the_type_that_its_annotation_says(case: str) -> None:
    annotation, expected = INPUTS[case]
    assert str(read(taking(annotation)).inputs["value"].type) == expected


OUTPUTS: dict[str, tuple[Any, str]] = {
    "Output[Model]": (Output[Model], "Model"),
    "Output[Metrics]": (Output[Metrics], "Metrics"),
    "OutputPath of a parameter": (OutputPath(int), "int"),
    "OutputPath of a list": (OutputPath(List[str]), "List[str]"),
    "OutputPath of a name": (OutputPath("Dataset"), "Dataset"),
    "OutputPath of a parameter's name": (OutputPath("String"), "str"),
    "OutputPath of anything": (OutputPath(), "Artifact"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_an_output_has_the_type_that_its_annotation_says(case: str) -> None:
    annotation, expected = OUTPUTS[case]
    interface = read(taking(annotation))
    assert (list(interface.inputs), str(interface.outputs["value"].type)) == ([], expected)


RETURNED: dict[str, tuple[Any, dict[str, str]]] = {
    "nothing": (None, {}),
    "a number": (int, {"Output": "int"}),
    "a list": (List[str], {"Output": "List[str]"}),
    "an artifact": (Model, {"Output": "Model"}),
    "a list of artifacts": (List[Dataset], {"Output": "List[Dataset]"}),
    "an optional": (Optional[float], {"Output": "float"}),
    "a NamedTuple class": (Both, {"first": "int", "model": "Model"}),
    "a NamedTuple in place": (NamedTuple("Pair", [("x", int), ("y", str)]), {"x": "int", "y": "str"}),
}


@pytest.mark.parametrize("case", RETURNED)
def test_what_is_returned_is_an_output(case: str) -> None:
    annotation, expected = RETURNED[case]

    def function():
        pass

    function.__annotations__ = {"return": annotation}
    assert {name: str(port.type) for name, port in read(function).outputs.items()} == expected


def test_defaults_make_inputs_optional() -> None:
    def function(a: int, b: int = 3, c: Optional[int] = None, d: float = 1, *, e: str = "x", f: Optional[str]):
        pass

    inputs = read(function).inputs
    assert {name: port.default for name, port in inputs.items()} == {
        "a": MISSING,
        "b": 3,
        "c": MISSING,
        "d": 1.0,
        "e": "x",
        "f": MISSING,
    }
    assert [name for name, port in inputs.items() if port.optional] == ["b", "c", "d", "e", "f"]
    assert isinstance(inputs["d"].default, float)


def test_annotations_written_as_text_are_understood() -> None:
    def function(a: "int", b: "Optional[Input[Dataset]]" = None) -> "Both":
        raise NotImplementedError

    interface = read(function)
    assert {name: str(port.type) for name, port in {**interface.inputs, **interface.outputs}.items()} == {
        "a": "int", "b": "Dataset", "first": "int", "model": "Model",
    }  # fmt: skip


def test_literals_are_remembered() -> None:
    assert read(taking(Literal["a", "b"])).inputs["value"].literals == ("a", "b")


DOCSTRINGS: dict[str, tuple[str | None, tuple[str, dict[str, str]]]] = {
    "none": (None, ("", {})),
    "prose": ("Train.\n\nMore.\n", ("Train.\n\nMore.", {})),
    "parameters": (
        "Train.\n\n    Args:\n        n: How often.\n        m (int): What.\n",
        ("Train.", {"n": "How often.", "m": "What."}),
    ),
    "two lines": ("T.\n\n  Args:\n    n: How\n      often.\n  Returns:\n    x: No.\n", ("T.", {"n": "How\noften."})),
}


@pytest.mark.parametrize("case", DOCSTRINGS)
def test_docstrings_are_split_into_prose_and_parameters(case: str) -> None:
    text, expected = DOCSTRINGS[case]
    assert read_docstring(text) == expected
