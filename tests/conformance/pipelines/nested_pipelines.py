# type: ignore
# fmt: off
"""Pipelines in pipelines, three deep; one used several times; outputs by name, parameters and artifacts; artifacts handed in."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(text: str, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write(text)


@dsl.component
def extend(table: Input[Dataset], more: str, out: Output[Dataset]) -> int:
    with open(table.path) as file, open(out.path, "w") as other:
        return other.write(file.read() + more)


Made = NamedTuple("Made", [("size", int), ("table", Dataset)])


@dsl.pipeline
def innermost(table: Input[Dataset], more: str = "!") -> Made:
    done = extend(table=table, more=more)
    return Made(done.outputs["Output"], done.outputs["out"])


@dsl.pipeline
def middle(table: Input[Dataset], word: str) -> Made:
    one = innermost(table=table, more=word)
    two = innermost(table=one.outputs["table"])
    return Made(two.outputs["size"], two.outputs["table"])


@dsl.component
def read(table: Input[Dataset], size: int) -> str:
    with open(table.path) as file:
        return f"{file.read()} {size}"


@dsl.pipeline
def pipeline(word: str) -> str:
    start = write(text="start")
    first = middle(table=start.outputs["out"], word=word)
    second = middle(table=first.outputs["table"], word=f"{word}{first.outputs['size']}")
    return read(table=second.outputs["table"], size=second.outputs["size"]).output


ARGUMENTS = {"word": "+"}
EXPECTED = {"outputs": {"Output": "start+!+7! 10"}}
