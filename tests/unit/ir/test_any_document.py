"""Whatever became of a valid pipeline on its way, reading it ends in a pipeline or in an error that names what is wrong."""

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import CASES, compiled, mutated

from kedge.errors import PipelineError
from kedge.pipelines import documents, ir

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


VALID: list[Json] = [{"pipeline_spec": RICH}, *(compiled(case) for case in ("options_of_pods", "claims", "loops_in_branches"))]
DAMAGE = [
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!bool ",
    b"!!binary ",
    b"!!int ",
    b"---\n",
    b".nan",
    b"1e999",
    b"0x",
    b"[" * 500,
    b"\x00",
    b"\xff",
]


@pytest.fixture(scope="module", autouse=True)
def compiled_before_examples() -> None:
    """Once, and outside of them: compiling uses random names, which hypothesis does not allow while it draws."""
    for case in CASES:
        compiled(case)


def in_two(whole: Json) -> str:
    """As compilers write it: the pipeline, then its options."""
    return yaml.safe_dump_all([whole["pipeline_spec"], *([whole["platform_spec"]] if "platform_spec" in whole else [])])


def read_or_refused(read: Any) -> None:
    try:
        read()
    except PipelineError as error:
        said = str(error)
    else:
        return
    assert said.strip()
    assert "\n  File " not in said


def test_each_feature_in_one_document_is_read() -> None:
    assert ir.read(documents.document(copy.deepcopy(RICH))).name == "rich"


@pytest.mark.parametrize("case", CASES)
def test_what_is_mutated_is_valid_to_begin_with(case: str) -> None:
    assert ir.read(documents.document(copy.deepcopy(compiled(case)))).name


def check_reading(document: Json) -> None:
    read_or_refused(lambda: ir.read(documents.document(document)))


def check_reading_of_damaged(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from([json.dumps, yaml.safe_dump, in_two]))
    text = form(data.draw(st.sampled_from(VALID))).encode()
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    damage = st.binary(max_size=6) | st.sampled_from(DAMAGE)
    broken = text[:start] + data.draw(damage) + text[start + length :]
    read_or_refused(lambda: ir.read(documents.read(broken)))


@settings(max_examples=2000, deadline=None)
@given(mutated())
def test_a_mutated_pipeline_is_read_or_refused_with_words(document: Json) -> None:
    check_reading(document)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_mutilated_file_is_read_or_refused_with_words(data: st.DataObject) -> None:
    """Bytes that were lost, doubled or damaged on the way, in all forms."""
    check_reading_of_damaged(data)


@pytest.mark.soak
@pytest.mark.timeout(900)
@settings(max_examples=30_000, deadline=None)
@given(mutated())
def test_many_more_mutated_pipelines(document: Json) -> None:
    check_reading(document)


@pytest.mark.soak
@pytest.mark.timeout(900)
@settings(max_examples=5_000, deadline=None)
@given(st.data())
def test_many_more_mutilated_files(data: st.DataObject) -> None:
    check_reading_of_damaged(data)
