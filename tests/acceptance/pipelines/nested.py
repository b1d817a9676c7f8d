# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Pipelines in pipelines, in loops and in branches; returned parameters and artifacts."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import Dataset, Input


@dsl.component
def make(size: int = 2) -> Dataset:
    return Dataset(uri=dsl.get_uri())


@dsl.component
def count(table: Input[Dataset]) -> int:
    return 1


@dsl.pipeline
def innermost(table: Input[Dataset]) -> int:
    return count(table=table).output


@dsl.pipeline(name="prepare-data")
def prepare(size: int, more: int = 1) -> NamedTuple("Prepared", [("table", Dataset), ("rows", int)]):
    table = make(size=size)
    rows = innermost(table=table.output)
    return NamedTuple("Prepared", [("table", Dataset), ("rows", int)])(table.output, rows.output)


@dsl.pipeline
def pipeline(size: int = 5) -> int:
    first = prepare(size=size)
    second = prepare(size=first.outputs["rows"], more=2).after(first)
    with dsl.ParallelFor([1, 2]) as number:
        each = prepare(size=number)
        with dsl.If(number == 1):
            count(table=each.outputs["table"])
    with dsl.If(second.outputs["rows"] > 3):
        innermost(table=first.outputs["table"])
    return second.outputs["rows"]
