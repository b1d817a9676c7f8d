# type: ignore
# fmt: off
"""Loops over a pipeline's input and over outputs; over none of them; the loop's length is known only when the run gets there."""

from typing import List

from kedge import dsl


@dsl.component
def count(n: int) -> List[int]:
    return list(range(n))


@dsl.component
def square(n: int) -> int:
    return n * n


@dsl.component
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.pipeline
def pipeline(names: List[str], none: List[int] = []) -> int:
    with dsl.ParallelFor(count(n=4).output) as n:
        squared = square(n=n)
    with dsl.ParallelFor(count(n=0).output) as n:
        nothing = square(n=n)
    with dsl.ParallelFor(none) as n:
        square(n=n)
    with dsl.ParallelFor(names) as name:
        count(n=1)
    total(numbers=dsl.Collected(nothing.output))
    return total(numbers=dsl.Collected(squared.output)).output


ARGUMENTS = {"names": ["a", "b"]}
EXPECTED = {
    "outputs": {"Output": 14}, "returned": {"total": {"Output": 0}},
    "tasks": {"square": ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"], "square-2": [], "square-3": [], "count-3": ["SUCCEEDED", "SUCCEEDED"]},
}
