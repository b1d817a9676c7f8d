# type: ignore
# fmt: off
"""Loops over constants of every type, and Collected in the order of the items."""

from kedge import dsl


@dsl.component
def number(n: int) -> int:
    return n * n


@dsl.component
def half(f: float) -> float:
    return f / 2


@dsl.component
def word(s: str) -> str:
    return s.upper()


@dsl.component
def flag(b: bool) -> bool:
    return not b


@dsl.component
def mapping(d: dict) -> str:
    return repr(sorted(d.items()))


@dsl.component
def join(n: list, f: list, s: list, b: list, d: list) -> list:
    return [n, f, s, b, d]


@dsl.pipeline
def pipeline() -> list:
    with dsl.ParallelFor([3, 1, 2]) as n:
        a = number(n=n)
    with dsl.ParallelFor([0.5, 1.0]) as f:
        b = half(f=f)
    with dsl.ParallelFor(["x", "it's", ""]) as s:
        c = word(s=s)
    with dsl.ParallelFor([True, False]) as t:
        d = flag(b=t)
    with dsl.ParallelFor([{"a": 1}, {"b": [2]}]) as m:
        e = mapping(d=m)
    return join(n=dsl.Collected(a.output), f=dsl.Collected(b.output), s=dsl.Collected(c.output), b=dsl.Collected(d.output), d=dsl.Collected(e.output)).output


EXPECTED = {
    "outputs": {"Output": [[9, 1, 4], [0.25, 0.5], ["X", "IT'S", ""], [False, True], ["[('a', 1)]", "[('b', [2])]"]]},
}
