# type: ignore
# fmt: off
"""A diamond of many edges: fan-out without a loop, fan-in of all, and each runs once."""

from kedge import dsl


@dsl.component
def start() -> int:
    return 1


@dsl.component
def add(n: int, k: int) -> int:
    return n + k


@dsl.component
def total(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
    return a + b + c + d + e + f


@dsl.pipeline
def pipeline() -> int:
    first = start().output
    six = {name: add(n=first, k=k).output for k, name in enumerate("abcdef")}
    return total(**six).output


EXPECTED = {"outputs": {"Output": 21}}
