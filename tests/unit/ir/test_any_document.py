"""Whatever became of a valid pipeline on its way, reading it ends in a pipeline or in an error that names what is wrong."""

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.errors import PipelineError
from kedge.pipelines import documents, ir
from kedge.testing import pipelines

Json = dict[str, Any]
INTEGER: Json = {"parameterType": "NUMBER_INTEGER"}
DATA: Json = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
RICH: Json = {
    "pipelineInfo": {"name": "rich"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "components": {
        "comp-make": {
            "executorLabel": "exec-make",
            "inputDefinitions": {"parameters": {"n": INTEGER, "t": {"parameterType": "STRING", "isOptional": True}}},
            "outputDefinitions": {"parameters": {"out": INTEGER}, "artifacts": {"data": DATA}},
        },
        "comp-import": {
            "executorLabel": "exec-import",
            "inputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}},
            "outputDefinitions": {"artifacts": {"artifact": DATA}},
        },
        "comp-loop": {
            "inputDefinitions": {"parameters": {"item": INTEGER}},
            "outputDefinitions": {"parameters": {"outs": {"parameterType": "LIST"}}},
            "dag": {
                "tasks": {
                    "inner": {
                        "componentRef": {"name": "comp-make"},
                        "inputs": {"parameters": {"n": {"componentInputParameter": "item"}}},
                        "triggerPolicy": {"condition": "inputs.parameter_values['n'] > 1 && true"},
                    }
                },
                "outputs": {
                    "parameters": {"outs": {"valueFromParameter": {"producerSubtask": "inner", "outputParameterKey": "out"}}}
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
            "exec-make": {
                "container": {
                    "image": "python:3.11",
                    "command": ["sh", "{{$.inputs.parameters['n']}}"],
                    "args": ['{"IfPresent": {"InputName": "t", "Then": ["{{$}}"]}}'],
                    "env": [{"name": "A", "value": "b"}],
                    "resources": {"resourceCpuLimit": "1", "memoryLimit": 1.5},
                }
            },
            "exec-import": {
                "importer": {"artifactUri": {"runtimeParameter": "uri"}, "typeSchema": {"schemaTitle": "system.Dataset"}}
            },
        }
    },
    "root": {
        "inputDefinitions": {"parameters": {"n": {**INTEGER, "defaultValue": 1.0}}},
        "dag": {
            "tasks": {
                "make": {
                    "componentRef": {"name": "comp-make"},
                    "taskInfo": {"name": "make"},
                    "cachingOptions": {"enableCache": True},
                    "inputs": {"parameters": {"n": {"componentInputParameter": "n"}, "t": {"runtimeValue": {"constant": "a"}}}},
                    "retryPolicy": {"maxRetryCount": 2, "backoffDuration": "1.5s"},
                },
                "loop": {
                    "componentRef": {"name": "comp-loop"},
                    "dependentTasks": ["make"],
                    "parameterIterator": {"items": {"raw": "[1, 2]"}, "itemInput": "item"},
                    "iteratorPolicy": {"parallelismLimit": 2},
                },
                "imp": {
                    "componentRef": {"name": "comp-import"},
                    "inputs": {"parameters": {"uri": {"runtimeValue": {"constant": "s3://{{$.inputs.parameters['uri']}}"}}}},
                },
                "again": {
                    "componentRef": {"name": "comp-make"},
                    "inputs": {
                        "parameters": {
                            "n": {
                                "taskOutputParameter": {"producerTask": "make", "outputParameterKey": "out"},
                                "parameterExpressionSelector": 'parseJson(string_value)["a"]',
                            }
                        }
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
VALID: list[Json] = [RICH, pipelines.chain(2)]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but its whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, part in inner for place in ((*path, key), *places(part, (*path, key)))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


PLACES = [places(document) for document in VALID]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["make", "-1s", "{{$", "a.b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A valid pipeline in which some parts are replaced, moved, renamed or gone."""
    number = draw(st.integers(0, len(VALID) - 1))
    document = copy.deepcopy(VALID[number])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES[number]))
        try:
            parent = at(document, path[:-1])
            old = parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if isinstance(parent, str):
            continue
        match draw(st.sampled_from(["replace", "delete", "move", "rename", "text"])):
            case "replace":
                parent[path[-1]] = draw(ANY)
            case "delete":
                del parent[path[-1]]
            case "move":
                with_ = draw(st.sampled_from(PLACES[number]))
                parent[path[-1]] = copy.deepcopy(at(VALID[number], with_))
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text(max_size=6))] = parent.pop(path[-1])
            case _ if isinstance(old, str):
                cut = draw(st.integers(0, len(old)))
                parent[path[-1]] = old[:cut] + draw(st.text(max_size=3)) + old[cut + draw(st.integers(0, 2)) :]
            case _:
                pass
    return document


def read_or_refused(read: Any) -> None:
    try:
        read()
    except PipelineError as error:
        said = str(error)
    else:
        return
    assert said.strip()
    assert "\n  File " not in said


@pytest.mark.parametrize("document", VALID, ids=["rich", "chain"])
def test_what_is_mutated_is_valid_to_begin_with(document: Json) -> None:
    assert ir.read(documents.document(copy.deepcopy(document))).name


@settings(max_examples=600, deadline=None)
@given(mutated())
def test_a_mutated_pipeline_is_read_or_refused_with_words(document: Json) -> None:
    read_or_refused(lambda: ir.read(documents.document(document)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_mutilated_file_is_read_or_refused_with_words(data: st.DataObject) -> None:
    """Bytes that were lost, doubled or damaged on the way, in both forms."""
    form = data.draw(st.sampled_from([json.dumps, yaml.safe_dump]))
    text = form(data.draw(st.sampled_from(VALID))).encode()
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    broken = text[:start] + data.draw(st.binary(max_size=6)) + text[start + length :]
    read_or_refused(lambda: ir.read(documents.read(broken)))
