"""Command lines: what their placeholders become."""

import json
from typing import Any

import pytest

from kedge.pipelines import ids
from kedge.pipelines.engine import placeholders
from kedge.pipelines.engine.placeholders import PlaceholderError, Renderer
from kedge.pipelines.engine.types import Artifact, Values
from kedge.pipelines.spec import Component, InputDefinitions, InputParameter, OutputDefinitions, OutputParameter

COMPONENT = Component(
    input_definitions=InputDefinitions(
        parameters={
            "n": InputParameter(),
            "default": InputParameter(default_value=5),
            "optional": InputParameter(is_optional=True),
        }
    ),
    output_definitions=OutputDefinitions(parameters={"out": OutputParameter()}),
)
DATA = Artifact("data", "s3://b/k", "system.Dataset", metadata={"rows": 3.0, "tags": ["a"]})
GIVEN = placeholders.executor_input(
    COMPONENT,
    Values(
        {"n": 11.0, "s": 'a "b"', "l": [1, "x"], "t": True, "fake": "{{$.inputs.parameters['n']}}"}, {"d": [DATA], "none": []}
    ),
    outputs={"m": [Artifact("m", "file:///out/m", "system.Model")]},
    parameter_file=lambda name: f"/out/{name}",
    output_file="/out/all.json",
)


def test_the_executor_input() -> None:
    assert GIVEN["inputs"]["parameterValues"]["n"] == 11.0
    assert GIVEN["inputs"]["artifacts"]["d"] == {
        "artifacts": [
            {
                "name": "data",
                "uri": "s3://b/k",
                "type": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
                "metadata": {"rows": 3.0, "tags": ["a"]},
            }
        ]
    }
    assert GIVEN["outputs"]["parameters"] == {"out": {"outputFile": "/out/out"}}
    assert GIVEN["outputs"]["outputFile"] == "/out/all.json"
    empty = placeholders.executor_input(Component(), Values(), outputs={}, parameter_file=str, output_file="/o")
    assert empty == {"inputs": {}, "outputs": {"outputFile": "/o"}}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("--n={{$.inputs.parameters['n']}}", ["--n=11"]),
        ('{{$.inputs.parameters["s"]}}', ['a "b"']),
        ("{{$.inputs.parameters['l']}}", ['[1,"x"]']),
        ("{{$.inputs.parameters['t']}}", ["true"]),
        ("{{$.inputs.parameters['default']}}", ["5"]),
        ("{{$.inputs.parameters['optional']}}", [""]),
        ("{{$.inputs.parameters['fake']}}", ["{{$.inputs.parameters['n']}}"]),
        (
            "{{$.inputs.artifacts['d'].uri}}|{{$.inputs.artifacts['d'].path}}|{{$.inputs.artifacts['d'].name}}",
            ["s3://b/k|/s3/b/k|data"],
        ),
        ("{{$.inputs.artifacts['d'].metadata['rows']}}", ["3"]),
        ("{{$.inputs.artifacts['d'].properties['tags']}}", ['["a"]']),
        ("{{$.inputs.artifacts['d'].metadata}}", ['{"rows":3.0,"tags":["a"]}']),
        ("{{$.inputs.artifacts['none'].path}}", [""]),
        ("{{$.outputs.artifacts['m'].path}}", ["/out/m"]),
        ("{{$.outputs.parameters['out'].output_file}}", ["/out/out"]),
        ("{{$.outputs.output_file}}", ["/out/all.json"]),
        ("{{$.something_else}} {{$x}} {{ y }}", ["{{$.something_else}} {{$x}} {{ y }}"]),
        (
            '{"Concat": ["a=", "{{$.inputs.parameters[\'n\']}}", {"IfPresent": {"InputName": "no", "Then": "x", "Else": "!"}}]}',
            ["a=11!"],
        ),
        ('{"IfPresent": {"InputName": "n", "Then": ["-n", "{{$.inputs.parameters[\'n\']}}"], "Else": ["-"]}}', ["-n", "11"]),
        ('{"IfPresent": {"InputName": "default", "Then": ["-d"]}}', []),
        (
            '{"IfPresent": {"InputName": "d", "Then": ["-d", {"Concat": ["p:", "{{$.inputs.artifacts[\'d\'].path}}"]}]}}',
            ["-d", "p:/s3/b/k"],
        ),
        ('{"IfPresent": {"InputName": "none", "Then": "yes", "Else": "no"}}', ["no"]),
        ('{"Concat": not json', ['{"Concat": not json']),
        ('{"Concat": [], "more": 1}', ['{"Concat": [], "more": 1}']),
        ('{"a": "IfPresent"}', ['{"a": "IfPresent"}']),
    ],
)
def test_arguments(text: str, becomes: list[str]) -> None:
    assert Renderer(GIVEN, COMPONENT).arguments([text]) == becomes


def test_the_whole_executor_input_is_json() -> None:
    (text,) = Renderer(GIVEN, COMPONENT).arguments(["{{$}}"])
    assert json.loads(text) == GIVEN


def test_a_custom_path_is_the_path() -> None:
    given: dict[str, Any] = {"inputs": {"artifacts": {"d": {"artifacts": [{"uri": "s3://b/k", "customPath": "/here"}]}}}}
    renderer = Renderer(given, Component())
    assert renderer.text("{{$.inputs.artifacts['d'].path}}") == "/here"
    assert renderer.text("{{$.outputs.output_file}}{{$.inputs.artifacts['d'].metadata}}") == "{}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{$.inputs.parameters['x']}}", "{{$.inputs.parameters['x']}}: the component has no input parameter 'x'"),
        ("{{$.inputs.artifacts['x'].path}}", "the step has no input artifact 'x'"),
        ("{{$.outputs.artifacts['x'].path}}", "the step has no output artifact 'x'"),
        ("{{$.outputs.parameters['x'].output_file}}", "the component has no output parameter 'x'"),
        ("{{$.inputs.artifacts['d'].metadata['x']}}", "the artifact 'd' has no metadata 'x' (there is rows, tags)"),
        ("{{$.inputs.nonsense}}", "is not a placeholder that there is"),
        ('{"IfPresent": {"InputName": "n", "Then": 3}}', "must be text, a list, Concat or IfPresent, got 3"),
        ('{"Concat": "x"}', 'must be text, a list, Concat or IfPresent, got {"Concat": "x"}'),
    ],
)
def test_what_a_step_does_not_have(text: str, message: str) -> None:
    with pytest.raises(PlaceholderError) as error:
        Renderer(GIVEN, COMPONENT).arguments([text])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://b/k", "/gcs/b/k"),
        ("minio://b/k", "/minio/b/k"),
        ("file:///a/b", "/a/b"),
        ("oci://reg/model:1", "/oci/reg_model:1/models"),
        ("https://x/y", "https://x/y"),
    ],
)
def test_paths_of_addresses(uri: str, path: str) -> None:
    assert placeholders.local_path(uri) == path


def test_a_tasks_uuid_is_the_one_that_the_history_uses() -> None:
    assert placeholders.task_uuid("run", "a.b") == ids.derived_id("run", "a.b")
