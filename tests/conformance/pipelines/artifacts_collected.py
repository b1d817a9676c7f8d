# type: ignore
# fmt: off
"""Artifacts of a loop, and of a loop in a loop, collected as one list in the order of the items."""

from typing import List

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(text: str, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write(text)


@dsl.component
def read(tables: Input[List[Dataset]]) -> str:
    texts = []
    for table in tables:
        with open(table.path) as file:
            texts.append(file.read())
    return " ".join(texts)


@dsl.component
def join(a: str, b: str) -> list:
    return [a, b]


@dsl.pipeline
def pipeline() -> list:
    with dsl.ParallelFor(["a", "b", "c"]) as outer:
        flat = write(text=outer)
        with dsl.ParallelFor([1, 2]) as inner:
            nested = write(text=f"{outer}{inner}")
    one = read(tables=dsl.Collected(flat.outputs["out"]))
    two = read(tables=dsl.Collected(nested.outputs["out"]))
    return join(a=one.output, b=two.output).output


EXPECTED = {"outputs": {"Output": ["a b c", "a1 a2 b1 b2 c1 c2"]}}
