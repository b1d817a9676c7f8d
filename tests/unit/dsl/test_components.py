"""Components: called alone they are plain functions; compiled they carry their source and what it needs."""

# pyright: basic, reportInvalidTypeForm=false, reportUnknownParameterType=false
# ruff: noqa: UP006, UP035, UP045, S108  # annotations as people write them, paths that nobody opens

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from kedge import dsl
from kedge.dsl import Dataset, Input, Model, Output, compiling, template
from kedge.dsl.artifacts import Artifact

LIMIT = 3
Rows = List[Dict[str, int]]


class Chart(Artifact):
    """An artifact type of this file."""

    schema_title = "example.Chart"


def twice(number: int) -> int:
    """Used by a component below."""
    return number * 2 + LIMIT


@dsl.component
def add(left: int, right: int = 2) -> int:
    """Add two numbers."""
    return left + right


@dsl.component
def draw(rows: Rows, chart: Output[Chart], times: int = LIMIT) -> str:
    """Its signature needs names of this file; so does its body."""
    chart.metadata["rows"] = len(rows)
    return re.sub("x", "y", "x" * twice(times))


@dsl.container_component
def shell(
    text: str, table: Input[Dataset], out: Output[Model], note: dsl.OutputPath(str), more: Optional[int] = None
) -> dsl.ContainerSpec:
    """A command line with every placeholder."""
    return dsl.ContainerSpec(
        image="alpine",
        command=["sh", "-c", "cat"],
        args=[text, f"--t={table.path}", out.uri, note, dsl.IfPresentPlaceholder("more", then=["--more", more])],
    )


def compiled(component: Any) -> dict[str, Any]:
    return compiling.compile(component).pipeline


def source_of(component: Any) -> str:
    [executor] = compiled(component)["deploymentSpec"]["executors"].values()
    step = template.parse(executor["container"]["command"], executor["container"]["args"])
    assert step is not None
    return step.source


def test_a_component_outside_of_a_pipeline_is_its_function() -> None:
    assert add(1) == 3
    assert add(left=1, right=5) == 6
    assert add.python_func(1, 1) == 2
    assert (add.name, add.description) == ("add", "Add two numbers.")


def test_a_container_component_outside_of_a_pipeline_gives_its_command_line() -> None:
    spec = shell(text="hi", table=Dataset(uri="/tmp/t"), out=Model(uri="s3://b/m"), note="/tmp/n", more=3)
    assert spec.args[:4] == ["hi", "--t=/tmp/t", "s3://b/m", "/tmp/n"]


def test_a_command_line_has_placeholders() -> None:
    [executor] = compiled(shell)["deploymentSpec"]["executors"].values()
    assert executor["container"]["args"] == [
        "{{$.inputs.parameters['text']}}",
        "--t={{$.inputs.artifacts['table'].path}}",
        "{{$.outputs.artifacts['out'].uri}}",
        "{{$.outputs.parameters['note'].output_file}}",
        '{"IfPresent": {"InputName": "more", "Then": ["--more", "{{$.inputs.parameters[\'more\']}}"]}}',
    ]


def test_the_source_has_the_function_without_decorator_and_knows_its_lines() -> None:
    source = source_of(add)
    assert "@dsl.component" not in source
    [_, block] = template.blocks(source)
    lines = Path(__file__).read_text().splitlines()
    assert block.filename == Path(__file__).name
    assert lines[block.line - 1] == block.text.splitlines()[0] == "def add(left: int, right: int = 2) -> int:"


def test_the_source_brings_what_it_needs_of_its_file_and_runs_alone() -> None:
    source = source_of(draw)
    namespace: dict[str, Any] = {"dsl": dsl}
    for block in template.blocks(source.replace("from kfp import dsl\nfrom kfp.dsl import *\n", "from kedge.dsl import *\n")):
        exec(compile("\n" * (block.line - 1) + block.text, block.filename, "exec", dont_inherit=True), namespace)  # noqa: S102
    assert namespace["draw"]([{"a": 1}], namespace["Chart"]()) == "y" * 9
    assert "def add" not in source


def test_a_function_moved_within_its_file_keeps_its_meaning() -> None:
    source = source_of(add)
    moved = re.sub(r"line=\d+", "line=999", source)
    assert source != moved
    assert template.without_positions(source) == template.without_positions(moved)


def test_nested_functions_are_moved_to_the_margin_and_their_texts_are_not() -> None:
    @dsl.component
    def inner() -> str:
        return """a
        b"""

    block = template.blocks(source_of(inner))[-1]
    assert block.text == 'def inner() -> str:\n    return """a\n        b"""\n'


def test_further_functions_go_along() -> None:
    @dsl.component(additional_funcs=[twice])
    def use() -> int:
        return 1

    assert "def twice(number: int) -> int:" in source_of(use)


def test_a_signature_that_needs_a_local_name_is_refused() -> None:
    size = 3

    @dsl.component
    def use(number: int = size) -> int:
        return number

    with pytest.raises(
        dsl.DslError, match="The signature of use\\(\\) uses 'size', which the top level of its file does not define"
    ):
        compiled(use)


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x: int) -> int:\n    return x", namespace)  # noqa: S102
    made = dsl.component(namespace["f"])
    assert made(3) == 3
    with pytest.raises(dsl.DslError, match=r"The source of f\(\) cannot be found"):
        compiled(made)


def test_packages_and_images_reach_the_step() -> None:
    @dsl.component(
        base_image="python:3.12", packages_to_install=["a==1", "b; x"], pip_index_urls=["https://one.example", "https://two.example"],
        pip_trusted_hosts=["one.example"], install_kfp_package=False, use_venv=True,
    )  # fmt: skip
    def work() -> None:
        pass

    [executor] = compiled(work)["deploymentSpec"]["executors"].values()
    step = template.parse(executor["container"]["command"], executor["container"]["args"])
    assert step is not None
    assert step[:6] == (("a==1", "b; x"), ("https://one.example", "https://two.example"), ("one.example",), None, True, "work")
    assert executor["container"]["image"] == "python:3.12"
    script = executor["container"]["command"][2]
    assert (
        "--index-url https://one.example --extra-index-url https://two.example --trusted-host one.example a==1 'b; x'" in script
    )
    assert '"$step/venv/bin/python3"' in script


def test_a_component_can_be_written_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "component.yaml"

    @dsl.component(output_component_file=str(target))
    def work(number: int) -> int:
        return number

    assert json.loads(target.read_text())["root"]["dag"]["tasks"]["work"]["componentRef"] == {"name": "comp-work"}
    assert work(1) == 1


def test_a_component_compiles_as_a_pipeline_of_one_task() -> None:
    pipeline = compiled(add)
    assert pipeline["pipelineInfo"] == {"name": "add", "description": "Add two numbers."}
    assert pipeline["root"]["inputDefinitions"] == {
        "parameters": {
            "left": {"parameterType": "NUMBER_INTEGER"},
            "right": {"parameterType": "NUMBER_INTEGER", "defaultValue": 2, "isOptional": True},
        }
    }
    assert pipeline["root"]["dag"]["outputs"] == {
        "parameters": {"Output": {"valueFromParameter": {"producerSubtask": "add", "outputParameterKey": "Output"}}}
    }
