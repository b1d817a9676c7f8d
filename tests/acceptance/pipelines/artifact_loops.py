# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Loops over lists of artifacts."""

from typing import List

from kedge import dsl
from kedge.dsl import Dataset, Input


@dsl.component
def look(table: Input[Dataset], index: int = 0) -> Dataset:
    return table


@dsl.pipeline
def pipeline(tables: Input[List[Dataset]]) -> List[Dataset]:
    with dsl.ParallelFor(tables, parallelism=3) as table:
        seen = look(table=table)
    return dsl.Collected(seen.output)
