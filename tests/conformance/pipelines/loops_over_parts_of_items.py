# type: ignore
# fmt: off
"""A loop over the item of the loop around it, which is a list itself."""

from typing import List

from kedge import dsl


@dsl.component
def rows() -> List[List[int]]:
    return [[1, 2], [], [3]]


@dsl.component
def double(n: int) -> int:
    return 2 * n


@dsl.component
def show(lists: list) -> str:
    return str(lists)


@dsl.pipeline
def pipeline() -> str:
    with dsl.ParallelFor(rows().output) as row:
        with dsl.ParallelFor(row) as n:
            made = double(n=n)
    return show(lists=dsl.Collected(made.output)).output


EXPECTED = {"outputs": {"Output": "[[2, 4], [], [6]]"}}
