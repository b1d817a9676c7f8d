"""Pipelines as people write them, compiled by the language and run by the engine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from kedge import dsl
from kedge.dsl import Collected, Dataset, Elif, Else, ExitHandler, If, Input, OneOf, Output, ParallelFor, PipelineTaskFinalStatus
from kedge.pipelines.compiler import compile_pipeline
from kedge.pipelines.engine.types import Artifact, Failure, StartStep, State, Values


@dsl.component
def add(a: int, b: int = 2) -> int:
    return a + b


@dsl.component
def say(text: str, more: str | None = None) -> str:
    return text


@dsl.component
def numbers() -> list[int]:
    return [1, 2]


@dsl.component
def make(data: Output[Dataset], n: int = 1) -> None:
    pass


@dsl.component
def read(data: Input[Dataset]) -> int:
    return 1


@dsl.component
def total(values: list[int], data: Input[list[Dataset]]) -> int:
    return sum(values)


@dsl.component
def grid(values: list[list[int]]) -> int:
    return 0


@dsl.component
def clean(status: PipelineTaskFinalStatus) -> None:
    pass


class Result(NamedTuple):
    data: Dataset
    n: int


def work(pipeline: Any) -> Callable[[StartStep], Values | Failure]:
    """What the functions above would do."""

    def behave(step: StartStep) -> Values | Failure:
        given = step.inputs.parameters
        component = pipeline().component(step.component)
        made: dict[str, Any] = {}
        if "a" in given:
            if given["a"] == 13:
                return Failure("user", "ExitCode", "unlucky", 1)
            made["Output"] = given["a"] + given.get("b", 2)
        elif "text" in given:
            made["Output"] = given["text"]
        elif component.output_definitions.parameters:
            made["Output"] = [1, 2] if component.output_definitions.parameters["Output"].kind == "LIST" else 0
        data = {name: [Artifact(step.task, f"file:///{step.task}")] for name in component.output_definitions.artifacts}
        return Values(made, data)

    return behave


@pytest.fixture
def go(world: Any) -> Callable[..., Any]:
    def run(function: Any, **parameters: Any) -> Any:
        document = compile_pipeline(function)
        started = world(document.pipeline, work(lambda: started.pipeline), parameters=parameters)
        return started.go()

    return run


def test_values_pass_through_a_chain_and_into_text(go: Callable[..., Any]) -> None:
    @dsl.pipeline
    def chain(n: int = 3) -> int:
        first = add(a=n)
        second = add(a=first.output, b=n)
        say(text=f"{n} then {second.output}")
        return second.output

    run = go(chain, n=4)
    assert run["say"].outputs.parameters == {"Output": "4 then 10"}
    assert run.finish.outputs.parameters == {"Output": 10}


@pytest.mark.parametrize(("word", "result"), [("a", 3), ("it's", 4), ("else", 5)])
def test_branches(go: Callable[..., Any], word: str, result: int) -> None:
    @dsl.pipeline
    def branches(word: str) -> int:
        said = say(text=word)
        with If(said.output == "a"):
            one = add(a=1)
        with Elif(said.output == "it's"):
            two = add(a=2)
        with Else():
            three = add(a=3)
        return add(a=OneOf(one.output, two.output, three.output), b=0).output

    run = go(branches, word=word)
    assert run.finish.outputs.parameters == {"Output": result}
    assert sum(task.state is State.SKIPPED for task in run.rows.values()) == 2


def test_loops_are_collected(go: Callable[..., Any]) -> None:
    @dsl.pipeline
    def loops(outer: list[int] = [10, 20]) -> int:  # noqa: B006  # a pipeline's default, never changed
        with ParallelFor([1, 2, 3], parallelism=2) as item:
            one = add(a=item, b=0)
            data = make(n=item)
        summed = total(values=Collected(one.output), data=Collected(data.outputs["data"]))
        with ParallelFor(outer) as i, ParallelFor([{"x": 1, "y": "p"}, {"x": 2, "y": "q"}]) as j:  # pyright: ignore[reportArgumentType]  # outside, a list
            cell = add(a=i, b=j.x)
            say(text=f"{i}/{j.y}")
        grid(values=Collected(cell.output))
        found = numbers()
        with ParallelFor(found.output) as k:
            add(a=k)
        return summed.output

    run = go(loops)
    assert run["total"].inputs.parameters == {"values": [1, 2, 3]}
    assert [a.name.rpartition(".")[2] for a in run["total"].inputs.artifacts["data"]] == ["make"] * 3
    assert run["grid"].inputs.parameters == {"values": [[11, 12], [21, 22]]}
    said = sorted(t.inputs.parameters["text"] for t in run.rows.values() if t.name == "say")
    assert said == ["10/p", "10/q", "20/p", "20/q"]
    assert run.finish.state is State.SUCCEEDED


@pytest.mark.parametrize(("n", "state"), [(1, "SUCCEEDED"), (13, "FAILED")])
def test_an_exit_handler(go: Callable[..., Any], n: int, state: str) -> None:
    @dsl.pipeline
    def nested(n: int) -> int:
        return add(a=n).output

    @dsl.pipeline
    def handled(n: int) -> None:
        with ExitHandler(clean()):
            done = nested(n=n)
            add(a=done.output)
        late = add(a=n)
        add(a=1, b=late.output).ignore_upstream_failure()

    run = go(handled, n=n)
    told = run["clean"].inputs.parameters["status"]
    assert (told["state"], told["error"].get("message")) == (state, None if n == 1 else "unlucky")
    assert run.finish.state == state
    assert run["add-3"].state is State.SUCCEEDED, "it ignores the failure, and its own default is used"


def test_imported_artifacts_and_the_outputs_of_a_run(go: Callable[..., Any]) -> None:
    @dsl.pipeline
    def imports(uri: str = "s3://bucket/key") -> Result:
        found = dsl.importer(artifact_uri=uri, artifact_class=Dataset, metadata={"from": uri})
        used = read(data=found.output)
        made = make()
        return Result(data=made.outputs["data"], n=used.output)

    run = go(imports)
    (imported,) = run["read"].inputs.artifacts["data"]
    assert (imported.uri, imported.metadata) == ("s3://bucket/key", {"from": "s3://bucket/key"})
    assert run.finish.outputs.parameters == {"n": 0}
    assert run.finish.outputs.artifacts["data"][0].uri == "file:///make"
