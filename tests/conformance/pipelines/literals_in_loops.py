# type: ignore
# fmt: off
"""Choices of few words and numbers from items of loops and parts of them."""

from typing import List, Literal

from kedge import dsl


@dsl.component
def letters() -> List[str]:
    return ["a", "b"]


@dsl.component
def pick(kind: Literal["a", "b"], size: Literal[1, 2] = 1) -> str:
    return f"{kind}{size}"


@dsl.pipeline
def pipeline():
    with dsl.ParallelFor(letters().output) as letter:
        pick(kind=letter)
        with dsl.ParallelFor([{"n": 1}, {"n": 2}, {"n": 3}]) as row:
            pick(kind=letter, size=row.n)


EXPECTED = {
    "ways": ("kedge",),
    "state": "FAILED",
    "failure": "expected one of 1, 2, got an integer (3)",
    "tasks": {"pick-2": ["SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED", "FAILED"]},
    "returned": {"pick": [{"Output": "a1"}, {"Output": "b1"}]},
}
