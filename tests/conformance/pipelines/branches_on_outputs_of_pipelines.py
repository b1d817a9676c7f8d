# type: ignore
# fmt: off
"""Conditions on what sub-pipelines returned, alone, in loops, and with inputs of the pipeline."""

from typing import NamedTuple

from kedge import dsl


@dsl.component
def double(n: int) -> int:
    return 2 * n


@dsl.component
def word(n: int) -> str:
    return "many" if n > 10 else "few"


@dsl.component
def note(text: str) -> str:
    return text


Out = NamedTuple("Out", [("number", int), ("text", str)])


@dsl.pipeline
def inner(n: int) -> Out:
    made = double(n=n)
    return Out(made.output, word(n=made.output).output)


@dsl.pipeline
def pipeline(start: int = 3, wanted: str = "few"):
    first = inner(n=start)
    with dsl.If(first.outputs["number"] == 6):
        note(text="six")
    with dsl.Elif(first.outputs["number"] == 7):
        note(text="seven")
    with dsl.If(first.outputs["text"] == wanted):
        second = inner(n=first.outputs["number"])
        with dsl.If(second.outputs["text"] != wanted):
            note(text="more")
    with dsl.ParallelFor([1, 20]) as n:
        third = inner(n=n)
        with dsl.If(third.outputs["text"] == first.outputs["text"]):
            note(text=f"{n} is {third.outputs['text']}")


EXPECTED = {
    "tasks": {"note-4": ["SUCCEEDED"]},
    "returned": {"note": {"Output": "six"}, "note-3": {"Output": "more"}, "note-4": [{"Output": "1 is few"}]},
}
