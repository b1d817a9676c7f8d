# type: ignore
# fmt: off
"""A loop over artifacts that another loop made, in a sub-pipeline that is given them as a list."""

from typing import List

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(n: int, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("x" * n)


@dsl.component
def measure(table: Input[Dataset], extra: int) -> int:
    with open(table.path) as file:
        return len(file.read()) + extra


@dsl.pipeline
def measures(tables: Input[List[Dataset]], extra: int) -> List[int]:
    with dsl.ParallelFor(tables) as table:
        size = measure(table=table, extra=extra)
    return dsl.Collected(size.output)


@dsl.pipeline
def pipeline(extra: int = 100) -> List[int]:
    with dsl.ParallelFor([1, 2, 3]) as n:
        made = write(n=n)
    return measures(tables=dsl.Collected(made.outputs["out"]), extra=extra).output


EXPECTED = {"outputs": {"Output": [101, 102, 103]}}
