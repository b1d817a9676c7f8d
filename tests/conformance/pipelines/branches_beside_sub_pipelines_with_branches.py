# type: ignore
# fmt: off
"""Branches, and loops in loops, of a pipeline that has called one with branches and loops before: kfp's compiler mixes them up."""

from typing import List, NamedTuple

from kedge import dsl


@dsl.component
def size(text: str) -> int:
    return len(text)


@dsl.component
def say(text: str) -> str:
    return text


@dsl.component
def tell(text: str, n: int) -> str:
    return f"{text} {n}"


@dsl.pipeline
def inner(text: str) -> str:
    n = size(text=text)
    with dsl.If(n.output > 3):
        long = say(text=f"long {text}")
    with dsl.Else():
        short = say(text=f"short {text}")
    with dsl.ParallelFor([1, 2]) as i:
        with dsl.ParallelFor(["a"]) as j:
            say(text=f"{text}{i}{j}")
    return dsl.OneOf(long.output, short.output)


@dsl.pipeline
def pipeline(text: str, k: int) -> NamedTuple("Outputs", first=str, chosen=str):
    first = inner(text="again")
    n = size(text=first.output)
    with dsl.If(n.output > 100):
        a = tell(text=text, n=k)
        b = tell(text=a.output, n=n.output)
    with dsl.Else():
        c = inner(text=text)
        tell(text="static", n=1)
    with dsl.ParallelFor([3, 4]) as x:
        with dsl.ParallelFor([7]) as y:
            tell(text=f"{x}", n=y)
    return NamedTuple("Outputs", first=str, chosen=str)(first=first.output, chosen=dsl.OneOf(b.output, c.output))


ARGUMENTS = {"text": "abc", "k": 7}
EXPECTED = {
    "outputs": {"first": "long again", "chosen": "short abc"},
    "tasks": {"tell": [], "tell-2": []},
    "returned": {"tell-3": {"Output": "static 1"}, "tell-4": [{"Output": "3 7"}, {"Output": "4 7"}]},
}
