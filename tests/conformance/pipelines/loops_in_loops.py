# type: ignore
# fmt: off
"""A loop in a loop, which uses both items; over the outer loop's own list, and Collected as lists of lists."""

from typing import List

from kedge import dsl


@dsl.component
def times(a: int, b: int) -> int:
    return a * b


@dsl.component
def up_to(n: int) -> List[int]:
    return list(range(1, n + 1))


@dsl.component
def show(lists: list) -> str:
    return str(lists)


@dsl.pipeline
def pipeline() -> str:
    with dsl.ParallelFor([1, 2, 3]) as a:
        with dsl.ParallelFor([10, 20]) as b:
            product = times(a=a, b=b)
        row = up_to(n=a)
        with dsl.ParallelFor(row.output) as c:
            inner = times(a=a, b=c)
        show(lists=dsl.Collected(inner.output))
    return show(lists=dsl.Collected(product.output)).output


EXPECTED = {
    "outputs": {"Output": "[[10, 20], [20, 40], [30, 60]]"},
    "returned": {"show": [{"Output": "[1]"}, {"Output": "[2, 4]"}, {"Output": "[3, 6, 9]"}]},
}
