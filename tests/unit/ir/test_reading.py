"""Reading pipelines: what is refused, where it is, and what to do about it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kedge.errors import PipelineError
from kedge.pipelines import documents, ir
from kedge.pipelines.documents import Document

Json = dict[str, Any]


def sample() -> Json:
    """A pipeline with a bit of everything, valid."""
    integer = {"parameterType": "NUMBER_INTEGER"}
    dataset = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    produced = {"taskOutputParameter": {"producerTask": "make", "outputParameterKey": "out"}}
    return {
        "pipelineInfo": {"name": "p", "description": "d"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "defaultPipelineRoot": "",
        "components": {
            "comp-make": {
                "executorLabel": "exec-make",
                "inputDefinitions": {
                    "parameters": {"n": integer, "kind": {"parameterType": "STRING", "literals": ["a"], "isOptional": True}}
                },
                "outputDefinitions": {"parameters": {"out": integer}, "artifacts": {"data": dataset}},
            },
            "comp-import": {
                "executorLabel": "exec-import",
                "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
                "outputDefinitions": {"artifacts": {"artifact": dataset}},
            },
            "comp-loop": {
                "inputDefinitions": {"parameters": {"item": integer}, "artifacts": {"d": dataset}},
                "outputDefinitions": {"parameters": {"outs": {"parameterType": "LIST"}}, "artifacts": {"data": dataset}},
                "dag": {
                    "tasks": {
                        "inner": {
                            "componentRef": {"name": "comp-make"},
                            "inputs": {"parameters": {"n": {"componentInputParameter": "item"}}},
                            "triggerPolicy": {"condition": "inputs.parameter_values['n'] > 1"},
                        }
                    },
                    "outputs": {
                        "parameters": {"outs": {"valueFromParameter": {"producerSubtask": "inner", "outputParameterKey": "out"}}},
                        "artifacts": {"data": {"artifactSelectors": [{"producerSubtask": "inner", "outputArtifactKey": "data"}]}},
                    },
                },
            },
            "comp-exit": {
                "executorLabel": "exec-make",
                "inputDefinitions": {"parameters": {"s": {"parameterType": "TASK_FINAL_STATUS"}}},
            },
        },
        "deploymentSpec": {
            "executors": {
                "exec-make": {"container": {"image": "python:3.11", "command": ["x"], "resources": {"resourceCpuLimit": "1"}}},
                "exec-import": {
                    "importer": {"artifactUri": {"runtimeParameter": "uri"}, "typeSchema": {"schemaTitle": "system.Dataset"}}
                },
            }
        },
        "root": {
            "inputDefinitions": {
                "parameters": {"n": {**integer, "defaultValue": 1}, "o": {"parameterType": "STRING", "isOptional": True}}
            },
            "dag": {
                "tasks": {
                    "make": {
                        "componentRef": {"name": "comp-make"},
                        "taskInfo": {"name": "make"},
                        "cachingOptions": {"enableCache": True},
                        "inputs": {
                            "parameters": {"n": {"componentInputParameter": "n"}, "kind": {"runtimeValue": {"constant": "a"}}}
                        },
                        "retryPolicy": {"maxRetryCount": 2, "backoffDuration": "1.5s"},
                    },
                    "imp": {
                        "componentRef": {"name": "comp-import"},
                        "inputs": {"parameters": {"uri": {"runtimeValue": {"constant": "s3://{{$.inputs.parameters['uri']}}"}}}},
                    },
                    "loop": {
                        "componentRef": {"name": "comp-loop"},
                        "dependentTasks": ["imp"],
                        "inputs": {
                            "artifacts": {"d": {"taskOutputArtifact": {"producerTask": "make", "outputArtifactKey": "data"}}}
                        },
                        "parameterIterator": {"items": {"raw": "[1, 2]"}, "itemInput": "item"},
                        "iteratorPolicy": {"parallelismLimit": 2},
                    },
                    "again": {
                        "componentRef": {"name": "comp-make"},
                        "inputs": {
                            "parameters": {"n": {**produced, "parameterExpressionSelector": 'parseJson(string_value)["a"]'}}
                        },
                    },
                    "exit": {
                        "componentRef": {"name": "comp-exit"},
                        "inputs": {"parameters": {"s": {"taskFinalStatus": {"producerTask": "loop"}}}},
                        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
                    },
                }
            },
        },
    }


def read(spec: Json) -> ir.Pipeline:
    return ir.read(documents.document(spec), "p.yaml")


def test_a_valid_pipeline_is_read() -> None:
    pipeline = ir.read(Document(sample(), {"kubernetes": {}}))
    assert (pipeline.name, pipeline.platforms) == ("p", {"kubernetes": {}})
    assert pipeline.component("") is pipeline.root
    assert pipeline.component("comp-make").executor_label == "exec-make"
    assert pipeline.executors["exec-make"].container is not None


def put(path: str, value: Any) -> Callable[[Json], None]:
    """Set (or, with ``...``, remove) what is at a path."""

    def change(spec: Json) -> None:
        *parts, last = path.split("/")
        target: Any = spec
        for part in parts:
            target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
        if value is ...:
            del target[last]
        else:
            target[last] = value

    return change


ROOT = "root/dag/tasks"
MAKE = f"{ROOT}/make"
LOOP = f"{ROOT}/loop"
COMP = "components/comp-make"
EXEC = "deploymentSpec/executors"

BAD: dict[str, tuple[Callable[[Json], None], str]] = {
    # what is not IR at all
    "unknown-field": (
        put(f"{MAKE}/cachingOption", {}),
        "root.dag.tasks.make: there is no field cachingOption in PipelineSpec 2.1.0.",
    ),
    "unknown-field-deep": (
        put(f"{COMP}/inputDefinitions/parameters/n/x", 1),
        "components.comp-make.inputDefinitions.parameters.n: there is no",
    ),
    "missing-field": (put(f"{MAKE}/componentRef", ...), "root.dag.tasks.make: the field componentRef is missing."),
    "missing-name": (
        put("pipelineInfo", {}),
        "pipelineInfo: the field name is missing. Correct the field, or compile the pipeline again.",
    ),
    "wrong-type": (put(f"{MAKE}/dependentTasks", "a"), "root.dag.tasks.make.dependentTasks: expected `array`, got `str`."),
    "wrong-type-in-list": (
        put(f"{MAKE}/dependentTasks", [1]),
        "root.dag.tasks.make.dependentTasks[0]: expected `str`, got `int`.",
    ),
    "wrong-enum": (
        put(f"{COMP}/inputDefinitions/parameters/n/parameterType", "INT"),
        "parameters.n.parameterType: invalid enum value 'INT'.",
    ),
    "after-a-list": (
        put(f"{EXEC}/exec-make/container/env", [{"name": "A", "values": 1}]),
        "exec-make.container.env[0]: there is no field values",
    ),
    # executors
    "resolver": (
        put(f"{EXEC}/exec-make", {"resolver": {}}),
        "deploymentSpec.executors.exec-make.resolver: not supported (no Kubeflow backend",
    ),
    "custom-job": (put(f"{EXEC}/exec-make", {"customJob": {}}), "deploymentSpec.executors.exec-make.customJob: not supported"),
    "no-executor-kind": (put(f"{EXEC}/exec-make", {}), "exec-make: must have one of container and importer."),
    "no-image": (put(f"{EXEC}/exec-make/container/image", ""), "exec-make.container.image: is missing. Name the image to run."),
    "lifecycle": (put(f"{EXEC}/exec-make/container/lifecycle", {}), "exec-make.container.lifecycle: not supported"),
    "importer-properties": (
        put(f"{EXEC}/exec-import/importer/properties", {}),
        "exec-import.importer.properties: is the older spelling",
    ),
    "importer-old-value": (
        put(f"{EXEC}/exec-import/importer/artifactUri", {"constantValue": {"stringValue": "x"}}),
        "exec-import.importer.artifactUri.constantValue: is the older spelling",
    ),
    "importer-no-address": (
        put(f"{EXEC}/exec-import/importer/artifactUri", {}),
        "importer.artifactUri: must have one of constant and",
    ),
    "importer-no-input": (
        put(f"{EXEC}/exec-import/importer/artifactUri", {"runtimeParameter": "x"}),
        "components.comp-import: the importer takes its address from the input 'x', which the component does not have.",
    ),
    # components
    "root-is-no-dag": (put("root", {"executorLabel": "exec-make"}), "root.dag: a pipeline's root must be a DAG of tasks."),
    "neither": (put("components/x", {}), "components.x: it is empty. kfp's compiler empties one of two groups"),
    "no-such-executor": (
        put(f"{COMP}/executorLabel", "e"),
        "comp-make.executorLabel: there is no executor 'e' (there is exec-import, exec-make)",
    ),
    "old-artifact-properties": (
        put(f"{COMP}/outputDefinitions/artifacts/data/customProperties", {}),
        "comp-make.outputDefinitions.artifacts.data: properties are the older spelling and not supported. Use metadata.",
    ),
    "number-as-name": (lambda spec: spec["components"].update({1: {}}), "components: expected `str`, got `int` as a name."),
    "single-platform": (put(f"{COMP}/singlePlatformSpecs", []), "comp-make.singlePlatformSpecs: not supported here."),
    "old-input-type": (
        put(f"{COMP}/inputDefinitions/parameters/n", {"type": "INT"}),
        "parameters.n.type: is the older spelling and not supported.",
    ),
    "old-output-type": (
        put(f"{COMP}/outputDefinitions/parameters/out", {"type": "INT"}),
        "outputDefinitions.parameters.out.type: is the older",
    ),
    "old-properties": (
        put(f"{COMP}/outputDefinitions/artifacts/data/properties", {}),
        "outputDefinitions.artifacts.data: properties are the older",
    ),
    "bad-default": (
        put("root/inputDefinitions/parameters/n/defaultValue", "x"),
        "root.inputDefinitions.parameters.n.defaultValue: expected an integer (such as 5), got text (x).",
    ),
    "recursion": (
        put("components/comp-loop/dag/tasks/inner/componentRef/name", "comp-loop"),
        "components: they contain each other: comp-loop → comp-loop. A pipeline cannot call itself.",
    ),
    # DAGs
    "no-such-component": (
        put(f"{MAKE}/componentRef/name", "c"),
        "root.dag.tasks.make.componentRef.name: there is no component 'c' (there is comp-exit, comp-import, ",
    ),
    "bad-task-name": (
        put(f"{ROOT}/a.b", {"componentRef": {"name": "comp-make"}}),
        "tasks.a.b: a task's name may have letters, digits, - and _ only.",
    ),
    "cycle": (
        put(f"{MAKE}/dependentTasks", ["loop"]),
        "root.dag.tasks: the tasks wait for each other: make → loop → make. Remove one of these dependencies.",
    ),
    "waits-for-itself": (put(f"{MAKE}/dependentTasks", ["make"]), "wait for each other: make → make."),
    "no-such-dependency": (
        put(f"{MAKE}/dependentTasks", ["nope"]),
        "make.dependentTasks[0]: there is no task 'nope' in this DAG (there is again, exit, imp, loop, make).",
    ),
    "output-undeclared": (
        put("components/comp-loop/dag/outputs/parameters/more", {"valueFromOneof": {}}),
        "comp-loop.dag.outputs.parameters.more: the component declares no such output (there is outs).",
    ),
    "output-artifact-undeclared": (
        put("components/comp-loop/dag/outputs/artifacts/more", {"artifactSelectors": []}),
        "comp-loop.dag.outputs.artifacts.more: the component declares no such output (there is data).",
    ),
    "output-of-nothing": (
        put("components/comp-loop/dag/outputs/parameters/outs", {}),
        "outputs.parameters.outs: must have one of valueFrom",
    ),
    "output-of-no-task": (
        put("components/comp-loop/dag/outputs/parameters/outs/valueFromParameter/producerSubtask", "x"),
        "comp-loop.dag.outputs.parameters.outs: there is no task 'x' in this DAG (there is inner).",
    ),
    "output-of-no-output": (
        put("components/comp-loop/dag/outputs/parameters/outs/valueFromParameter/outputParameterKey", "x"),
        "parameters.outs: the task 'inner' has no output 'x' among its parameters (there is out).",
    ),
    # inputs
    "unknown-argument": (
        put(f"{MAKE}/inputs/parameters/x", {"runtimeValue": {"constant": 1}}),
        "root.dag.tasks.make.inputs.parameters.x: the component has no such input (there is kind, n). Remove the argument.",
    ),
    "unknown-artifact": (
        put(f"{MAKE}/inputs/artifacts/x", {"componentInputArtifact": "y"}),
        "make.inputs.artifacts.x: the component has no such input (there is none). Remove the argument.",
    ),
    "missing-argument": (
        put(f"{MAKE}/inputs/parameters/n", ...),
        "make.inputs.parameters: the argument 'n' is missing. Give it, or give",
    ),
    "missing-artifact": (
        put(f"{LOOP}/inputs/artifacts/d", ...),
        "loop.inputs.artifacts: the argument 'd' is missing. Give it, or declare",
    ),
    "no-source": (
        put(f"{MAKE}/inputs/parameters/n", {}),
        "parameters.n: must have one of taskOutputParameter, runtimeValue, component",
    ),
    "no-artifact-source": (
        put(f"{LOOP}/inputs/artifacts/d", {}),
        "artifacts.d: must have one of taskOutputArtifact and componentInputArtifact.",
    ),
    "no-producer": (
        put(f"{ROOT}/again/inputs/parameters/n/taskOutputParameter/producerTask", "x"),
        "again.inputs.parameters.n: there is no task 'x' in this DAG",
    ),
    "no-produced-artifact": (
        put(f"{LOOP}/inputs/artifacts/d/taskOutputArtifact/outputArtifactKey", "x"),
        "loop.inputs.artifacts.d: the task 'make' has no output 'x' among its artifacts (there is data).",
    ),
    "no-outer-parameter": (
        put(f"{MAKE}/inputs/parameters/n", {"componentInputParameter": "x"}),
        "make.inputs.parameters.n: the surrounding DAG has no input 'x' (there is n, o).",
    ),
    "no-outer-artifact": (
        put(f"{LOOP}/inputs/artifacts/d", {"componentInputArtifact": "x"}),
        "loop.inputs.artifacts.d: the surrounding DAG has no input 'x' (there is none).",
    ),
    "no-status-producer": (
        put(f"{ROOT}/exit/inputs/parameters/s/taskFinalStatus/producerTask", "x"),
        "exit.inputs.parameters.s: there is no task 'x' in this DAG.",
    ),
    "status-from-elsewhere": (
        put(f"{ROOT}/exit/inputs/parameters/s", {"runtimeValue": {"constant": {}}}),
        "exit.inputs.parameters.s: takes a task's final status only. Use it in the exit task of an ExitHandler.",
    ),
    "constant-of-wrong-type": (
        put(f"{MAKE}/inputs/parameters/n", {"runtimeValue": {"constant": "x"}}),
        "make.inputs.parameters.n: expected an integer (such as 5), got text (x).",
    ),
    "wrong-literal": (
        put(f"{MAKE}/inputs/parameters/kind", {"runtimeValue": {"constant": "b"}}),
        "make.inputs.parameters.kind: expected one of a, got text (b).",
    ),
    "null-constant": (
        put(f"{MAKE}/inputs/parameters/n", {"runtimeValue": {"constant": None}}),
        "n: is null, and the component needs a value.",
    ),
    "no-constant": (put(f"{MAKE}/inputs/parameters/n", {"runtimeValue": {}}), "parameters.n.runtimeValue: has no constant."),
    "runtime-parameter": (
        put(f"{MAKE}/inputs/parameters/n", {"runtimeValue": {"runtimeParameter": "n"}}),
        "parameters.n.runtimeValue.runtimeParameter: not supported here. Use componentInputParameter.",
    ),
    "placeholder-of-no-input": (
        put(f"{MAKE}/inputs/parameters/kind", {"runtimeValue": {"constant": ["{{$.inputs.parameters['x']}}"]}}),
        "kind: refers to the input 'x', which this task is not given (there is kind, n).",
    ),
    "bad-selector": (
        put(f"{ROOT}/again/inputs/parameters/n/parameterExpressionSelector", "a["),
        "again.inputs.parameters.n.parameterExpressionSelector: expected a value, found 'the end' at column 3 of 'a['.",
    ),
    # loops, conditions, retries
    "two-iterators": (
        put(f"{LOOP}/artifactIterator", {"items": {"inputArtifact": "d"}, "itemInput": "d"}),
        "root.dag.tasks.loop: has two iterators. Nest two loops instead.",
    ),
    "no-item-input": (
        put(f"{LOOP}/parameterIterator/itemInput", "x"),
        "loop.parameterIterator.itemInput: the component has no input 'x'",
    ),
    "no-items": (
        put(f"{LOOP}/parameterIterator/items", {}),
        "loop.parameterIterator.items: must have one of raw and inputParameter.",
    ),
    "items-not-a-list": (
        put(f"{LOOP}/parameterIterator/items/raw", "{}"),
        "items.raw: must be the JSON text of a list, got '{}'.",
    ),
    "items-not-json": (put(f"{LOOP}/parameterIterator/items/raw", "[1"), "items.raw: must be the JSON text of a list, got '[1'."),
    "items-of-no-input": (
        put(f"{LOOP}/parameterIterator/items", {"inputParameter": "x"}),
        "items.inputParameter: the component has no input 'x'.",
    ),
    "artifact-items": (
        lambda spec: spec["root"]["dag"]["tasks"]["loop"].update(
            parameterIterator=None, artifactIterator={"items": {"inputArtifact": "x"}, "itemInput": "y"}
        ),
        "loop.artifactIterator.items.inputArtifact: the component has no input artifact 'x' (there is d).",
    ),
    "negative-limit": (put(f"{LOOP}/iteratorPolicy/parallelismLimit", -1), "parallelismLimit: must be 0 (no limit) or more."),
    "bad-condition": (
        put(f"{MAKE}/triggerPolicy", {"condition": "1 =="}),
        "make.triggerPolicy.condition: expected a value, found 'the end'",
    ),
    "condition-on-nothing": (
        put(f"{MAKE}/triggerPolicy", {"condition": "inputs.parameter_values['x'] == 1"}),
        "triggerPolicy.condition: reads the input 'x', which the component does not have (there is kind, n).",
    ),
    "bad-duration": (
        put(f"{MAKE}/retryPolicy/backoffDuration", "1m"),
        "retryPolicy.backoffDuration: must be a duration such as \"30s\", got '1m'.",
    ),
    "negative-retries": (put(f"{MAKE}/retryPolicy/maxRetryCount", -1), "retryPolicy.maxRetryCount: must be 0 or more, got -1."),
    "negative-factor": (put(f"{MAKE}/retryPolicy/backoffFactor", -1), "retryPolicy.backoffFactor: must be 0 or more, got -1.0."),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    """Each error names the file and the field's path, and says what to do."""
    change, message = BAD[case]
    spec = json.loads(json.dumps(sample()))  # no two parts of it are one object
    change(spec)
    with pytest.raises(PipelineError) as error:
        read(spec)
    assert message in str(error.value)
    assert all(line.startswith("p.yaml: ") and line.endswith(".") for line in str(error.value).splitlines())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            put(f"{MAKE}/inputs/parameters/kind", {"runtimeValue": {"constant": None}}), id="null-for-an-optional-input"
        ),
        pytest.param(
            put(f"{MAKE}/inputs/parameters/kind", {"runtimeValue": {"constant": "{{$.pipeline_root}}"}}), id="placeholder"
        ),
        pytest.param(
            put(
                f"{MAKE}/inputs/parameters/n",
                {"runtimeValue": {"constant": "[1]"}, "parameterExpressionSelector": "parseJson(string_value)[0]"},
            ),
            id="selector-over-a-constant",
        ),
        pytest.param(put(f"{COMP}/inputDefinitions/parameters/c", {"parameterType": "TASK_CONFIG"}), id="task-configuration"),
        pytest.param(put(f"{COMP}/inputDefinitions/parameters/c", {"isOptional": True}), id="no-stated-type"),
        pytest.param(put(f"{COMP}/taskConfigPassthroughs", [{"field": "ENV", "applyToTask": True}]), id="passthroughs"),
        pytest.param(put(f"{EXEC}/exec-import/importer/artifactUri", {"constant": "s3://b"}), id="importer-of-a-constant"),
        pytest.param(put(f"{EXEC}/exec-import/importer/downloadToWorkspace", True), id="importer-into-the-workspace"),
        pytest.param(put(f"{MAKE}/cachingOptions/cacheKey", "k"), id="cache-key"),
    ],
)
def test_what_is_accepted(change: Callable[[Json], None]) -> None:
    spec = json.loads(json.dumps(sample()))
    change(spec)
    read(spec)


@pytest.mark.parametrize(("sdk", "whole"), [("kfp-2.17.0", int), ("kedge-0.1.0", float)])
def test_whole_numbers_of_kfp_are_integers(sdk: str, whole: type) -> None:
    """Its compiler writes every number as a double; inputs that are declared doubles are doubles all the same."""
    spec = sample()
    spec["sdkVersion"] = sdk
    spec["root"]["inputDefinitions"]["parameters"] |= {
        "l": {"parameterType": "LIST", "defaultValue": [1.0, {"a": 2.0}, 0.5, 1e300, "1.0", True]},
        "d": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 1.0},
    }
    found = ir.check_parameters(read(spec), {})
    assert [type(v) for v in (found["l"][0], found["l"][1]["a"], found["l"][2], found["l"][3])] == [whole, whole, float, float]
    assert type(found["d"]) is float


def test_up_to_five_problems_are_reported_at_once() -> None:
    spec = sample()
    spec["root"]["dag"]["tasks"]["make"]["dependentTasks"] = [f"x{i}" for i in range(9)]
    with pytest.raises(PipelineError) as error:
        read(spec)
    assert len(str(error.value).splitlines()) == 5


def test_the_path_is_found_among_many_alike() -> None:
    """The same mistake in two places: the first one is named."""
    spec = sample()
    for task in ("imp", "loop"):
        spec["root"]["dag"]["tasks"][task]["inputs"]["parameter"] = {}
    with pytest.raises(PipelineError, match=r"root\.dag\.tasks\.imp\.inputs: there is no field parameter"):
        read(spec)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ({}, {"n": 1, "o": None}),
        ({"n": 5.0, "o": 3}, {"n": 5, "o": "3"}),
        ({"n": None}, {"n": 1, "o": None}),
        ({"n": "7"}, {"n": 7, "o": None}),
    ],
)
def test_arguments_of_a_run(given: Json, resolved: Json) -> None:
    assert ir.check_parameters(read(sample()), given) == resolved


def test_arguments_without_bottom() -> None:
    spec = sample()
    spec["root"]["inputDefinitions"]["parameters"]["l"] = {"parameterType": "LIST"}
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(PipelineError, match="the parameter 'l': nested more than 100 levels deep"):
        ir.check_parameters(read(spec), {"l": deep})


def test_bad_arguments_of_a_run() -> None:
    spec = sample()
    spec["root"]["inputDefinitions"]["parameters"]["r"] = {"parameterType": "BOOLEAN"}
    spec["root"]["inputDefinitions"]["artifacts"] = {"a": {}, "b": {"isOptional": True}}
    with pytest.raises(PipelineError) as error:
        ir.check_parameters(read(spec), {"n": "three", "x": 1})
    assert str(error.value).splitlines() == [
        "p: there is no parameter 'x' (there is n, o, r). Remove it, or correct its name.",
        "p: the parameter 'n': expected an integer (such as 5), got text (three).",
        "p: the parameter 'r' is missing. Give it a value, such as --param r=….",
        "p: the input artifact 'a' cannot be given to a run. Import it in the pipeline.",
    ]
    with pytest.raises(PipelineError, match="the parameter 'r' is null"):
        ir.check_parameters(read(spec), {"r": None})


def test_a_long_chain_is_checked_without_recursion() -> None:
    spec = sample()
    tasks = spec["root"]["dag"]["tasks"] = {}
    for number in range(5000):
        upstream = {"dependentTasks": [f"t{number + 1}"]} if number < 4999 else {}
        constant = {"parameters": {"n": {"runtimeValue": {"constant": 1}}}}
        tasks[f"t{number}"] = {"componentRef": {"name": "comp-make"}, "inputs": constant, **upstream}
    read(spec)
    tasks["t4999"]["dependentTasks"] = ["t0"]
    with pytest.raises(PipelineError, match="wait for each other: t0 → t1 → t2 → t3 → t4 → … → t4997 → t4998 → t4999 → t0"):
        read(spec)
