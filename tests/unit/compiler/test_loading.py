"""Components from documents: what cannot be loaded says why, and what to do."""

import re
from pathlib import Path
from typing import Any

import pytest

from kedge import components, dsl
from kedge.compiler import Compiler
from kedge.dsl import compiling, kubernetes
from kedge.dsl.errors import DslError

V1 = """
name: Say
inputs: [{name: word, type: String}, {name: table}]
outputs: [{name: said, type: String}]
implementation:
  container:
    image: busybox
    command: [echo, %s]
"""


@dsl.component
def add(a: int, b: int = 2) -> int:
    return a + b


def compiled(pipeline: Any) -> dict[str, Any]:
    return compiling.compile(pipeline).pipeline


def test_a_component_that_was_written_and_loaded_is_the_same(tmp_path: Path) -> None:
    Compiler().compile(add, str(tmp_path / "add.yaml"))
    loaded = components.load_component_from_file(str(tmp_path / "add.yaml"))
    assert compiled(loaded) == compiled(add)


def test_a_pipeline_that_was_written_and_loaded_keeps_its_defaults(tmp_path: Path) -> None:
    @dsl.pipeline
    def sums(a: int = 3) -> int:
        return add(a=add(a=a).output).output

    Compiler().compile(sums, str(tmp_path / "sums.yaml"), pipeline_parameters={"a": 7})
    loaded = components.load_component_from_file(str(tmp_path / "sums.yaml"))

    @dsl.pipeline
    def outer() -> int:
        loaded(a=1)
        return loaded().output

    made = compiled(outer)
    inner = made["components"]["comp-sums"]
    assert inner["inputDefinitions"]["parameters"]["a"] == {
        "parameterType": "NUMBER_INTEGER",
        "defaultValue": 7,
        "isOptional": True,
    }
    assert [task["componentRef"]["name"] for task in made["root"]["dag"]["tasks"].values()] == ["comp-sums", "comp-sums"]


def test_the_name_of_a_loaded_component_may_be_taken_already(tmp_path: Path) -> None:
    @dsl.pipeline
    def sums() -> int:
        return add(a=add(a=1).output).output

    Compiler().compile(sums, str(tmp_path / "sums.yaml"))
    loaded = components.load_component_from_file(str(tmp_path / "sums.yaml"))

    @dsl.pipeline
    def outer() -> int:
        return add(a=loaded().output).output

    made = compiled(outer)
    assert sorted(made["components"]) == ["comp-add", "comp-add-2", "comp-sums"]
    assert sorted(made["deploymentSpec"]["executors"]) == ["exec-add", "exec-add-2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "Give PipelineSpec IR, or a component.yaml of kfp 1.x."),
        ("name: g\nimplementation: {graph: {}}", "has no implementation.container"),
        (V1 % "{inputValue: nothing}", "has {inputValue: nothing} in its command line"),
        (V1 % "{inputValue: table}", "has {inputValue: table} in its command line"),
    ],
    ids=["no pipeline", "a graph of kfp 1", "an input that is not there", "the value of an artifact"],
)
def test_what_cannot_be_loaded_says_why(text: str, message: str) -> None:
    with pytest.raises(DslError, match=re.escape(message)):
        components.load_component_from_text(text)


def test_a_loaded_component_is_no_function() -> None:
    with pytest.raises(DslError, match="was called outside of a pipeline"):
        components.load_component_from_text(V1 % "{inputValue: word}")()


def test_options_for_kubernetes_come_along_with_a_loaded_pipeline(tmp_path: Path) -> None:
    @dsl.pipeline
    def sums(secret: str) -> int:
        first = add(a=1)
        kubernetes.use_secret_as_volume(first, secret, "/etc/secret")
        return kubernetes.set_timeout(add(a=first.output), 5).output

    Compiler().compile(sums, str(tmp_path / "sums.yaml"))
    loaded = components.load_component_from_file(str(tmp_path / "sums.yaml"))

    @dsl.pipeline
    def outer() -> int:
        return kubernetes.set_timeout(add(a=loaded(secret="s").output), 7).output

    options = compiling.compile(outer).platforms["kubernetes"]["deploymentSpec"]["executors"]
    assert {label: sorted(found) for label, found in options.items()} == {
        "exec-add": ["secretAsVolume"],
        "exec-add-2": ["activeDeadlineSeconds"],
        "exec-add-3": ["activeDeadlineSeconds"],
    }
    made = compiled(outer)
    inner = made["components"]["comp-sums"]["dag"]["tasks"]
    assert [made["components"][task["componentRef"]["name"]]["executorLabel"] for task in inner.values()] == [
        "exec-add",
        "exec-add-2",
    ]


def test_options_of_a_run_as_a_whole_cannot_come_along(tmp_path: Path) -> None:
    @dsl.pipeline(pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=60))
    def sums() -> int:
        return add(a=1).output

    Compiler().compile(sums, str(tmp_path / "sums.yaml"))
    with pytest.raises(DslError, match=r"options of a platform that are no task's own \(pipelineConfig\)"):
        components.load_component_from_file(str(tmp_path / "sums.yaml"))
