"""What kfp's compiler hands on wrongly through groups is put right before a pipeline is checked."""

from typing import Any

from kedge.pipelines import kfp_wires

Json = dict[str, Any]
LIST, STRUCT = {"parameterType": "LIST"}, {"parameterType": "STRUCT"}


def loop(items: str, item: str, inputs: Json, component: str) -> Json:
    return {
        "componentRef": {"name": component},
        "inputs": {"parameters": inputs},
        "parameterIterator": {"itemInput": item, "items": {"inputParameter": items}},
    }


def pipeline(inner_inputs: Json, outer_inputs: Json, outer_declared: Json) -> Json:
    """A loop in a loop."""
    outer = {"componentRef": {"name": "outer"}, "inputs": {"parameters": outer_inputs}}
    rows = "pipelinechannel--rows"
    return {
        "root": {
            "inputDefinitions": {"parameters": {"rows": LIST}},
            "dag": {"tasks": {"outer": outer, "made": task("comp-made")}},
        },
        "components": {
            "outer": {
                "inputDefinitions": {"parameters": outer_declared},
                "dag": {"tasks": {"inner": loop(rows, f"{rows}-loop-item", inner_inputs, "inner")}},
            },
            "inner": {
                "inputDefinitions": {"parameters": {rows: LIST, f"{rows}-loop-item": STRUCT}},
                "dag": {"tasks": {}},
            },
            "comp-made": {"executorLabel": "x", "outputDefinitions": {"parameters": {"Output": LIST}}},
        },
    }


def task(component: str) -> Json:
    return {"componentRef": {"name": component}}


def given(name: str) -> Json:
    return {"componentInputParameter": name}


def test_a_list_that_the_outer_loop_was_not_given_is_handed_down() -> None:
    made = pipeline({"pipelinechannel--rows": given("pipelinechannel--rows")}, {}, {})
    assert kfp_wires.mend(made)
    assert made["components"]["outer"]["inputDefinitions"]["parameters"] == {"pipelinechannel--rows": LIST}
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {"pipelinechannel--rows": given("rows")}


def test_an_output_is_handed_down_as_well() -> None:
    made = pipeline({"pipelinechannel--rows": given("pipelinechannel--made-Output")}, {}, {})
    assert kfp_wires.mend(made)
    produced = {"taskOutputParameter": {"producerTask": "made", "outputParameterKey": "Output"}}
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {"pipelinechannel--made-Output": produced}


def test_a_loops_own_item_is_not_taken_from_outside() -> None:
    item = "pipelinechannel--rows-loop-item"
    made = pipeline(
        {"pipelinechannel--rows": given("pipelinechannel--rows"), item: given(item)},
        {"pipelinechannel--rows": given("rows"), item: given("rows-loop-item")},
        {"pipelinechannel--rows": LIST, item: dict(STRUCT)},
    )
    assert kfp_wires.mend(made)
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {"pipelinechannel--rows": given("rows")}
    assert made["components"]["outer"]["inputDefinitions"]["parameters"][item]["isOptional"]


def test_what_is_right_is_left_as_it_is() -> None:
    rows = "pipelinechannel--rows"
    assert not kfp_wires.mend(pipeline({rows: given(rows)}, {rows: given("rows")}, {rows: LIST}))


def test_a_name_that_leads_nowhere_is_left_to_the_checks() -> None:
    made = pipeline({"pipelinechannel--rows": given("pipelinechannel--nothing")}, {}, {})
    kfp_wires.mend(made)
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {
        "pipelinechannel--nothing": given("pipelinechannel--nothing")
    }
