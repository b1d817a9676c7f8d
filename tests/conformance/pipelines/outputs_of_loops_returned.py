# type: ignore
# fmt: off
"""A pipeline and a sub-pipeline return what a loop gave, as lists."""

from typing import List

from kedge import dsl


@dsl.component
def square(n: int) -> int:
    return n * n


@dsl.pipeline
def squares(numbers: List[int]) -> List[int]:
    with dsl.ParallelFor(numbers) as n:
        done = square(n=n)
    return dsl.Collected(done.output)


@dsl.pipeline
def pipeline(numbers: List[int] = [1, 2, 3]) -> List[int]:
    return squares(numbers=squares(numbers=numbers).output).output


EXPECTED = {"outputs": {"Output": [1, 16, 81]}}
