"""The IR of pipelines: how values flow through groups, what is written once, and what tasks carry."""

# pyright: basic, reportInvalidTypeForm=false
# ruff: noqa: E501, UP006, UP035, UP045  # annotations as people write them; expressions as they are read

import json
from typing import Any, Dict, List, NamedTuple, Optional

import pytest

from kedge import dsl
from kedge.dsl import Dataset, Input, Output, compiling


@dsl.component
def number(n: int = 1) -> int:
    return n


@dsl.component
def text(t: str, more: Optional[dict] = None) -> str:
    return t


@dsl.component
def make(n: int = 1) -> Dataset:
    return Dataset(uri=dsl.get_uri())


@dsl.component
def split() -> List[Dict[str, str]]:
    return []


@dsl.component
def use(table: Input[Dataset]) -> int:
    return 1


@dsl.component
def collect(tables: List[Dataset], out: Output[Dataset]) -> int:
    return 1


def compiled(pipeline: Any, **options: Any) -> dict[str, Any]:
    return compiling.compile(pipeline, **options).pipeline


def tasks(pipeline: Any) -> dict[str, Any]:
    return compiled(pipeline)["root"]["dag"]["tasks"]


def test_the_same_component_is_written_once_and_names_are_unique() -> None:
    @dsl.pipeline
    def p() -> None:
        for _ in range(3):
            number()

    spec = compiled(p)
    assert list(spec["components"]) == ["comp-number"]
    assert list(spec["deploymentSpec"]["executors"]) == ["exec-number"]
    assert list(spec["root"]["dag"]["tasks"]) == ["number", "number-2", "number-3"]
    assert spec["schemaVersion"] == "2.1.0"


def test_a_task_with_settings_of_its_own_has_an_executor_of_its_own() -> None:
    @dsl.pipeline
    def p() -> None:
        number()
        number().set_env_variable("A", "b")
        number().set_env_variable("A", "b")
        number().set_display_name("shown")

    spec = compiled(p)
    assert list(spec["deploymentSpec"]["executors"]) == ["exec-number", "exec-number-2"]
    assert [task["componentRef"]["name"] for task in spec["root"]["dag"]["tasks"].values()] == [
        "comp-number", "comp-number-2", "comp-number-2", "comp-number",
    ]  # fmt: skip
    assert spec["root"]["dag"]["tasks"]["number-4"]["taskInfo"] == {"name": "shown"}


def test_two_components_of_one_name_are_told_apart() -> None:
    def other() -> Any:
        @dsl.component
        def number(s: str) -> str:
            return s

        return number

    second = other()

    @dsl.pipeline
    def p() -> None:
        second(s=f"{number().output}")

    assert list(compiled(p)["components"]) == ["comp-number", "comp-number-2"]


def test_texts_with_channels_become_placeholders_with_inputs_of_their_own() -> None:
    @dsl.pipeline
    def p(word: str) -> None:
        text(t=f"{word}: {number().output}", more={"a": [number().output, word]})

    inputs = tasks(p)["text"]["inputs"]["parameters"]
    assert inputs == {
        "pipelinechannel--word": {"componentInputParameter": "word"},
        "pipelinechannel--number-Output": {"taskOutputParameter": {"producerTask": "number", "outputParameterKey": "Output"}},
        "pipelinechannel--number-2-Output": {"taskOutputParameter": {"producerTask": "number-2", "outputParameterKey": "Output"}},
        "t": {
            "runtimeValue": {
                "constant": "{{$.inputs.parameters['pipelinechannel--word']}}: {{$.inputs.parameters['pipelinechannel--number-Output']}}"
            }
        },
        "more": {
            "runtimeValue": {
                "constant": {
                    "a": [
                        "{{$.inputs.parameters['pipelinechannel--number-2-Output']}}",
                        "{{$.inputs.parameters['pipelinechannel--word']}}",
                    ]
                }
            }
        },
    }
    assert tasks(p)["text"]["dependentTasks"] == ["number", "number-2"]


def test_a_value_is_handed_down_through_every_group() -> None:
    @dsl.pipeline
    def p(n: int) -> None:
        first = number(n=n)
        with dsl.ParallelFor([1, 2]) as item, dsl.If(item == 1):
            number(n=first.output)

    spec = compiled(p)
    loop, branch = spec["components"]["comp-for-loop-1"], spec["components"]["comp-condition-2"]
    key = "pipelinechannel--number-Output"
    assert spec["root"]["dag"]["tasks"]["for-loop-1"]["inputs"]["parameters"][key] == {
        "taskOutputParameter": {"producerTask": "number", "outputParameterKey": "Output"}
    }
    assert loop["dag"]["tasks"]["condition-2"]["inputs"]["parameters"] == {
        "pipelinechannel--loop-item-param-1": {"componentInputParameter": "pipelinechannel--loop-item-param-1"},
        key: {"componentInputParameter": key},
    }
    assert branch["dag"]["tasks"]["number-2"]["inputs"]["parameters"] == {"n": {"componentInputParameter": key}}
    assert branch["inputDefinitions"]["parameters"][key] == {"parameterType": "NUMBER_INTEGER"}


def test_outputs_of_nested_loops_are_collected_through_each() -> None:
    @dsl.pipeline
    def p() -> List[Dataset]:
        with dsl.ParallelFor([1, 2]):
            with dsl.ParallelFor([3, 4]) as inner:
                made = make(n=inner)
            collect(tables=dsl.Collected(made.output))
        return dsl.Collected(made.output)

    spec = compiled(p)
    key = "pipelinechannel--make-Output"
    listed = {key: {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}, "isArtifactList": True}}
    for loop, producer, name in (("comp-for-loop-1", "for-loop-2", key), ("comp-for-loop-2", "make", "Output")):
        component = spec["components"][loop]
        assert component["outputDefinitions"] == {"artifacts": listed}
        assert component["dag"]["outputs"] == {
            "artifacts": {key: {"artifactSelectors": [{"producerSubtask": producer, "outputArtifactKey": name}]}}
        }
    assert spec["components"]["comp-for-loop-1"]["dag"]["tasks"]["collect"]["inputs"]["artifacts"]["tables"] == {
        "taskOutputArtifact": {"producerTask": "for-loop-2", "outputArtifactKey": key}
    }


def test_a_choice_between_branches_is_an_output_of_the_branches() -> None:
    @dsl.pipeline
    def p(n: int) -> int:
        with dsl.If(n > 3):
            a = number()
        with dsl.Elif(n > 2):
            b = number()
        with dsl.Else():
            c = number()
        # The order of the arguments does not matter; the order of the branches does.
        return dsl.OneOf(c.output, a.output, b.output)

    spec = compiled(p)
    [branches] = spec["root"]["dag"]["tasks"]
    outputs = spec["components"][f"comp-{branches}"]["dag"]["outputs"]["parameters"]
    [(name, choice)] = outputs.items()
    assert [selector["outputParameterKey"] for selector in choice["valueFromOneof"]["parameterSelectors"]] == [
        "pipelinechannel--number-Output", "pipelinechannel--number-2-Output", "pipelinechannel--number-3-Output",
    ]  # fmt: skip
    assert spec["root"]["dag"]["outputs"]["parameters"] == {
        "Output": {"valueFromParameter": {"producerSubtask": branches, "outputParameterKey": name}}
    }


CONDITIONS: dict[str, tuple[Any, str]] = {
    "text": (lambda c: c["t"] == "a", "inputs.parameter_values['pipelinechannel--t'] == 'a'"),
    "text with a quote": (lambda c: c["t"] != "it's \\ so", "inputs.parameter_values['pipelinechannel--t'] != 'it\\'s \\\\ so'"),
    "a whole number": (lambda c: c["n"] >= 3, "int(inputs.parameter_values['pipelinechannel--n']) >= 3"),
    "a whole and a real number": (lambda c: c["n"] < 0.5, "double(int(inputs.parameter_values['pipelinechannel--n'])) < 0.5"),
    "a real and a whole number": (lambda c: c["f"] < 3, "inputs.parameter_values['pipelinechannel--f'] < 3.0"),
    "true": (lambda c: c["b"] == True, "inputs.parameter_values['pipelinechannel--b'] == true"),  # noqa: E712
    "a constant first": (lambda c: 3 < c["n"], "int(inputs.parameter_values['pipelinechannel--n']) > 3"),  # noqa: SIM300
    "two channels": (
        lambda c: c["n"] <= c["f"],
        "double(int(inputs.parameter_values['pipelinechannel--n'])) <= inputs.parameter_values['pipelinechannel--f']",
    ),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions_are_written_in_the_irs_language(case: str) -> None:
    condition, expected = CONDITIONS[case]

    @dsl.pipeline
    def p(t: str, n: int, f: float, b: bool) -> None:  # noqa: FBT001
        with dsl.If(condition({"t": t, "n": n, "f": f, "b": b})):
            number()

    assert tasks(p)["condition-1"]["triggerPolicy"] == {"condition": expected}


FIELDS: dict[str, tuple[Any, str]] = {
    "a number": (lambda item: item.x > 3, "int(inputs.parameter_values['pipelinechannel--ls-loop-item-subvar-x']) > 3"),
    "a real number": (
        lambda item: item.x > 0.5,
        "double(inputs.parameter_values['pipelinechannel--ls-loop-item-subvar-x']) > 0.5",
    ),
    "a truth": (lambda item: item.x == True, "inputs.parameter_values['pipelinechannel--ls-loop-item-subvar-x'] == 'true'"),  # noqa: E712
    "a text": (lambda item: item.x == "a", "inputs.parameter_values['pipelinechannel--ls-loop-item-subvar-x'] == 'a'"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_a_field_of_unknown_type_travels_as_text(case: str) -> None:
    condition, expected = FIELDS[case]

    @dsl.pipeline
    def p(ls: List[dict]) -> None:
        with dsl.ParallelFor(ls) as item, dsl.If(condition(item)):
            number()

    spec = compiled(p)
    branch = spec["components"]["comp-for-loop-1"]["dag"]["tasks"]["condition-2"]
    assert branch["triggerPolicy"] == {"condition": expected}
    key = "pipelinechannel--ls-loop-item-subvar-x"
    assert branch["inputs"]["parameters"] == {
        key: {
            "componentInputParameter": "pipelinechannel--ls-loop-item",
            "parameterExpressionSelector": 'parseJson(string_value)["x"]',
        }
    }
    assert spec["components"]["comp-condition-2"]["inputDefinitions"] == {"parameters": {key: {"parameterType": "STRING"}}}


def test_fields_may_have_any_name() -> None:
    @dsl.pipeline
    def p() -> None:
        with dsl.ParallelFor([{"name": "a", "type": "b", "key": 1}]) as item:
            text(t=item.name)
            text(t=f"{item.type}{item['key']}")
            number(n=item.key)

    loop = compiled(p)["components"]["comp-for-loop-1"]["dag"]["tasks"]
    assert loop["text"]["inputs"]["parameters"]["t"]["parameterExpressionSelector"] == 'parseJson(string_value)["name"]'
    assert loop["number"]["inputs"]["parameters"]["n"]["parameterExpressionSelector"] == 'parseJson(string_value)["key"]'


def test_a_loop_within_a_loop_over_the_same_list_keeps_both_items() -> None:
    @dsl.pipeline
    def p(ls: List[str]) -> None:
        with dsl.ParallelFor(ls) as one, dsl.ParallelFor(ls) as two:
            text(t=f"{one}{two}")

    inner = compiled(p)["components"]["comp-for-loop-2"]["dag"]["tasks"]["text"]["inputs"]["parameters"]
    assert inner["t"]["runtimeValue"]["constant"] == (
        "{{$.inputs.parameters['pipelinechannel--ls-loop-item']}}{{$.inputs.parameters['pipelinechannel--ls-loop-item-for-loop-2']}}"
    )


def test_order_is_lifted_to_the_groups_that_stand_side_by_side() -> None:
    @dsl.pipeline
    def p() -> None:
        first = number()
        with dsl.ParallelFor([1]) as item:
            inside = number(n=item).after(first)
        with dsl.ExitHandler(text(t="end")) as handler:
            number()
        number().after(inside, handler)

    spec = tasks(p)
    assert spec["for-loop-1"]["dependentTasks"] == ["number"]
    assert spec["number-4"]["dependentTasks"] == ["exit-handler-2", "for-loop-1"]
    assert spec["text"]["dependentTasks"] == ["exit-handler-2"]
    assert spec["text"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


def test_pipelines_in_pipelines_are_components_with_tasks_of_their_own() -> None:
    @dsl.pipeline
    def inner(n: int, scale: int = 2) -> NamedTuple("Two", [("a", int), ("d", Dataset)]):
        made = make(n=n)
        return NamedTuple("Two", [("a", int), ("d", Dataset)])(number(n=scale).output, made.output)

    @dsl.pipeline
    def outer() -> int:
        first = inner(n=1)
        inner(n=first.outputs["a"])
        return use(table=first.outputs["d"]).output

    spec = compiled(outer)
    assert list(spec["components"]) == ["comp-inner", "comp-make", "comp-number", "comp-use"]
    assert spec["components"]["comp-inner"]["inputDefinitions"]["parameters"]["scale"] == {
        "parameterType": "NUMBER_INTEGER", "defaultValue": 2, "isOptional": True,
    }  # fmt: skip


def test_compiling_twice_gives_the_same() -> None:
    @dsl.pipeline
    def p(n: int) -> int:
        with dsl.If(n == 1):
            number()
        return number(n=n).output

    assert json.dumps(compiled(p)) == json.dumps(compiled(p))


def test_names_and_defaults_can_be_given_when_compiling() -> None:
    @dsl.pipeline(name="My Pipeline", description="What.", display_name="Mine", pipeline_root="s3://b")
    def p(n: int, f: float = 0.5) -> None:
        number(n=n)

    assert compiled(p)["pipelineInfo"] == {"name": "my-pipeline", "displayName": "Mine", "description": "What."}
    assert compiled(p)["defaultPipelineRoot"] == "s3://b"
    other = compiled(p, name="Other", display_name="Shown", parameters={"n": 3, "f": 1})
    assert other["pipelineInfo"] == {"name": "other", "displayName": "Shown", "description": "What."}
    parameters = other["root"]["inputDefinitions"]["parameters"]
    assert {name: value["defaultValue"] for name, value in parameters.items()} == {"n": 3, "f": 1.0}
    assert "defaultValue" not in compiled(p)["root"]["inputDefinitions"]["parameters"]["n"]


WRONG_PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"m": 1}, 'Pipeline "p" has no parameter "m".'),
    "of another type": ({"n": "1"}, 'Parameter "n" of pipeline "p" was given \'1\', a str.'),
    "an artifact": ({"d": "x"}, 'Pipeline "p" has no parameter "d".'),
}


@pytest.mark.parametrize("case", WRONG_PARAMETERS)
def test_defaults_that_do_not_fit_are_refused(case: str) -> None:
    parameters, message = WRONG_PARAMETERS[case]

    @dsl.pipeline
    def p(n: int, d: Optional[Input[Dataset]] = None) -> None:
        number(n=n)

    with pytest.raises(dsl.DslError) as caught:
        compiled(p, parameters=parameters)
    assert str(caught.value).splitlines()[0] == message


def test_what_is_no_pipeline_is_not_compiled() -> None:
    with pytest.raises(dsl.DslError, match="3 cannot be compiled"):
        compiled(3)


def test_options_of_the_run_as_a_whole_are_for_the_platform() -> None:
    @dsl.pipeline(pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=60))
    def p() -> None:
        number()

    assert compiling.compile(p).platforms == {"kubernetes": {"pipelineConfig": {"resourceTtlOnCompletion": 60}}}


def test_an_importer_into_the_workspace_needs_one() -> None:
    def p() -> None:
        dsl.importer(artifact_uri="s3://b/x", artifact_class=Dataset, download_to_workspace=True)

    config = dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))
    executors = compiled(dsl.pipeline(p, pipeline_config=config))["deploymentSpec"]["executors"]
    assert executors["exec-importer"]["importer"]["downloadToWorkspace"] is True
    with pytest.raises(
        dsl.DslError, match='An importer of pipeline "p" downloads to the workspace, which the pipeline does not have'
    ):
        compiled(dsl.pipeline(p))


def test_a_workspace_is_an_option_of_the_run_as_a_whole() -> None:
    workspace = dsl.WorkspaceConfig(size=" 1Gi ", kubernetes=dsl.KubernetesWorkspaceConfig({"storageClassName": "fast"}))

    @dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=workspace))
    def p() -> None:
        number()

    asked = {"size": "1Gi", "kubernetes": {"pvcSpecPatch": {"storageClassName": "fast"}}}
    assert compiling.compile(p).platforms == {"kubernetes": {"pipelineConfig": {"workspace": asked}}}
    workspace.set_size("500M")
    workspace.set_kubernetes_config(dsl.KubernetesWorkspaceConfig())
    workspace.kubernetes.set_pvcSpecPatch({"accessModes": ["ReadWriteMany"]})
    assert workspace.get_workspace() == {"size": "500M", "kubernetes": {"pvcSpecPatch": {"accessModes": ["ReadWriteMany"]}}}
    with pytest.raises(dsl.DslError, match=r"dsl.PipelineConfig got the workspace '1Gi'\."):
        dsl.PipelineConfig(workspace="1Gi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for size in ("", "large", "1 Gi", None):
        with pytest.raises(dsl.DslError, match=r"dsl.WorkspaceConfig is given the size "):
            dsl.WorkspaceConfig(size=size)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
