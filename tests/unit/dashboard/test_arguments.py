"""Fields for the inputs of a pipeline: what stands in them, and what is sent of what was typed."""

from typing import Any

import pytest
from starlette.datastructures import FormData

from kedge.dashboard.arguments import EMPTY, PARAMETERS, VALUE, arguments, as_typed, blame, inputs, json_fault, typed
from kedge.dashboard.page import Form
from kedge.dashboard.starting import as_tags, tags_as_typed
from kedge.errors import BadRequest, Cause

HUGE = 2**53 + 1


def spec(**parameters: dict[str, Any]) -> dict[str, Any]:
    return {"root": {"inputDefinitions": {"parameters": parameters}}}


def sent(pipeline: dict[str, Any], **fields: str) -> dict[str, Any]:
    """What is sent of what was typed."""
    return arguments(typed(inputs(pipeline), Form(FormData(fields))))


def test_no_digit_of_a_number_is_lost() -> None:
    pipeline = spec(n={"parameterType": "NUMBER_INTEGER"})
    (field,) = inputs(pipeline, {"n": HUGE})
    assert field.text == str(HUGE)
    assert sent(pipeline, **{f"{VALUE}n": field.text}) == {"n": str(HUGE)}


def test_what_is_empty_is_left_out_unless_it_is_meant() -> None:
    pipeline = spec(
        rate={"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
        size={"parameterType": "STRING", "literals": ["s", "l"], "isOptional": True},
        note={"parameterType": "STRING", "isOptional": True},
        title={"parameterType": "STRING", "defaultValue": "untitled"},
    )
    assert sent(pipeline) == {"title": ""}
    assert sent(pipeline, **{f"{EMPTY}note": "yes"}) == {"title": "", "note": ""}
    assert [field.text for field in inputs(pipeline)] == ["0.5", "", "", "untitled"]


def test_an_argument_that_was_empty_text_is_so_again_in_a_clone() -> None:
    pipeline = spec(note={"parameterType": "STRING"})
    (field,) = inputs(pipeline, {"note": ""})
    assert arguments([field]) == {"note": ""}


def test_inputs_that_the_engine_fills_are_not_asked_for() -> None:
    assert inputs(spec(status={"parameterType": "TASK_FINAL_STATUS"})) == []


def test_faults_stand_at_their_inputs_and_the_others_are_kept() -> None:
    known = inputs(spec(a={"parameterType": "LIST"}, b={"parameterType": "STRING"}))
    other = Cause("experiment_id", "is archived")
    assert blame(known, [Cause(f"{PARAMETERS}b", "is missing"), other]) == [other]
    assert [field.wrong for field in known] == [[], ["is missing"]]


@pytest.mark.parametrize(("text", "place"), [("[1,\n 2", "line 2, column 3"), ("", "line 1, column 1"), ("[1]", "")])
def test_a_fault_in_json_has_a_place(text: str, place: str) -> None:
    assert json_fault(text).startswith(place)
    assert bool(json_fault(text)) is bool(place)


def test_values_are_shown_as_they_are_typed() -> None:
    assert as_typed(3.0, "NUMBER_INTEGER") == "3"
    assert as_typed(value=True, kind="BOOLEAN") == "true"
    assert as_typed("7", "NUMBER_INTEGER") == "7"
    assert as_typed({"name": "x" * 90}, "STRUCT").count("\n") == 2


def test_tags_are_read_as_they_are_shown() -> None:
    tags = {"team": "vision", "stage": "test"}
    assert as_tags(tags_as_typed(tags)) == tags
    with pytest.raises(BadRequest, match="is no tag"):
        as_tags("team")
