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


def test_a_part_of_an_item_is_not_taken_from_the_task_that_made_the_list() -> None:
    part = "pipelinechannel--made-Output-loop-item-subvar-word"
    output = {"taskOutputParameter": {"producerTask": "made", "outputParameterKey": "Output-loop-item-subvar-word"}}
    whole = {"taskOutputParameter": {"producerTask": "made", "outputParameterKey": "Output"}}
    made = pipeline(
        {}, {part: output, "pipelinechannel--made-Output": whole}, {part: STRUCT, "pipelinechannel--made-Output": LIST}
    )
    assert kfp_wires.mend(made)
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {"pipelinechannel--made-Output": whole}
    assert made["components"]["outer"]["inputDefinitions"]["parameters"] == {"pipelinechannel--made-Output": LIST}


def test_what_is_right_is_left_as_it_is() -> None:
    rows = "pipelinechannel--rows"
    assert not kfp_wires.mend(pipeline({rows: given(rows)}, {rows: given("rows")}, {rows: LIST}))


def test_a_name_that_leads_nowhere_is_left_to_the_checks() -> None:
    made = pipeline({"pipelinechannel--rows": given("pipelinechannel--nothing")}, {}, {})
    kfp_wires.mend(made)
    assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {
        "pipelinechannel--nothing": given("pipelinechannel--nothing")
    }


def grouped(source: Json) -> tuple[Json, Json]:
    """A step in a group in a group, and its options."""
    step: Json = {"componentRef": {"name": "step"}}
    inner: Json = {"dag": {"tasks": {"step": step}}}
    outer: Json = {"dag": {"tasks": {"inner": {"componentRef": {"name": "inner"}}}}}
    made: Json = {
        "root": {
            "inputDefinitions": {"parameters": {"settings": {"parameterType": "STRUCT"}}},
            "dag": {"tasks": {"outer": {"componentRef": {"name": "outer"}}, "made": {"componentRef": {"name": "comp-made"}}}},
        },
        "components": {
            "outer": outer,
            "inner": inner,
            "step": {"executorLabel": "exec-step"},
            "comp-made": {"executorLabel": "x", "outputDefinitions": {"parameters": {"Output": LIST}}},
        },
    }
    return made, {"exec-step": {"tolerations": [{"key": "a"}, {"tolerationJson": source}]}}


def test_a_value_in_options_is_handed_down_to_the_group_of_the_task() -> None:
    produced = {"taskOutputParameter": {"producerTask": "made", "outputParameterKey": "Output"}}
    for source, name, taken, declared in (
        ({"componentInputParameter": "settings"}, "pipelinechannel--settings", {"componentInputParameter": "settings"}, "STRUCT"),
        (dict(produced), "pipelinechannel--made-Output", produced, "LIST"),
    ):
        made, options = grouped(source)
        assert kfp_wires.mend_options(made, options)
        assert options["exec-step"]["tolerations"][1]["tolerationJson"] == {"componentInputParameter": name}
        for group in ("outer", "inner"):
            assert made["components"][group]["inputDefinitions"]["parameters"] == {name: {"parameterType": declared}}
        assert made["root"]["dag"]["tasks"]["outer"]["inputs"]["parameters"] == {name: taken}
        inner = made["components"]["outer"]["dag"]["tasks"]["inner"]
        assert inner["inputs"]["parameters"] == {name: {"componentInputParameter": name}}
        assert not kfp_wires.mend_options(made, options)


def test_what_leads_nowhere_stays_and_is_said_when_the_options_are_checked() -> None:
    for source in (
        {"componentInputParameter": "nothing"},
        {"taskOutputParameter": {"producerTask": "made", "outputParameterKey": "nothing"}},
        {"taskOutputParameter": {"producerTask": ["made"]}},
        {"componentInputParameter": "loop-item-param-2-subvar-a"},
    ):
        made, options = grouped(dict(source))
        assert not kfp_wires.mend_options(made, options)
        assert options["exec-step"]["tolerations"][1]["tolerationJson"] == source


def test_values_in_texts_within_constants_are_taken_from_wherever_their_marks_say() -> None:
    def mark(producer: str, name: str) -> str:
        return "{{channel:task=" + producer + ";name=" + name + ";type=String;}}"

    def taken(name: str) -> str:
        return "{{$.inputs.parameters['pipelinechannel--" + name + "']}}"

    item = "rows-loop-item"
    texts = [
        f"<{mark('', 'word')}>",
        {"made": mark("made", "Output"), "part": f"{mark('', f'{item}-subvar-a')}!"},
        mark("no", "x"),
    ]
    made = pipeline({"pipelinechannel--rows": given("pipelinechannel--rows")}, {}, {})
    made["root"]["inputDefinitions"]["parameters"]["word"] = {"parameterType": "STRING"}
    step = {"componentRef": {"name": "comp-step"}, "inputs": {"parameters": {"texts": {"runtimeValue": {"constant": texts}}}}}
    made["components"]["inner"]["dag"]["tasks"]["step"] = step
    assert kfp_wires.mend(made)
    word, output, part = "word", "made-Output", f"{item}-subvar-a"
    referring = [f"<{taken(word)}>", {"made": taken(output), "part": f"{taken(part)}!"}, texts[2]]
    assert step["inputs"]["parameters"] == {
        "texts": {"runtimeValue": {"constant": referring}},
        "pipelinechannel--word": given("pipelinechannel--word"),
        "pipelinechannel--made-Output": given("pipelinechannel--made-Output"),
        f"pipelinechannel--{part}": {
            **given(f"pipelinechannel--{item}"), "parameterExpressionSelector": 'parseJson(string_value)["a"]',
        },
    }  # fmt: skip
    tasks = made["root"]["dag"]["tasks"]
    assert tasks["outer"]["inputs"]["parameters"]["pipelinechannel--word"] == given("word")
    assert "taskOutputParameter" in tasks["outer"]["inputs"]["parameters"]["pipelinechannel--made-Output"]
    assert not kfp_wires.mend(made)
