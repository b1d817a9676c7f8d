# type: ignore
# fmt: off
"""A sub-pipeline in a loop, with a loop of its own in it; parameters and artifacts collected from it."""

from typing import List, NamedTuple

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(n: int, out: Output[Dataset]) -> int:
    with open(out.path, "w") as file:
        file.write(str(n))
    return n


@dsl.component
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component
def read(tables: Input[List[Dataset]]) -> str:
    texts = []
    for table in tables:
        with open(table.path) as file:
            texts.append(file.read())
    return " ".join(texts)


Both = NamedTuple("Both", [("sum", int), ("table", Dataset)])


@dsl.pipeline
def inner(n: int) -> Both:
    with dsl.ParallelFor([1, 2]) as m:
        made = write(n=m)
    own = write(n=n)
    return Both(total(numbers=dsl.Collected(made.outputs["Output"])).output, own.outputs["out"])


@dsl.component
def join(sums: list, texts: str) -> str:
    return f"{sums} {texts}"


@dsl.pipeline
def pipeline() -> str:
    with dsl.ParallelFor([7, 8]) as n:
        done = inner(n=n)
    return join(sums=dsl.Collected(done.outputs["sum"]), texts=read(tables=dsl.Collected(done.outputs["table"])).output).output


EXPECTED = {"outputs": {"Output": "[3, 3] 7 8"}}
