# type: ignore
# fmt: off
"""Branches that hold sub-pipelines and loops: OneOf of what the sub-pipelines give."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def twice(text: str) -> str:
    first = tell(text=text)
    return tell(text=f"{first.output}{first.output}").output


@dsl.pipeline
def pipeline(long: bool) -> str:
    with dsl.If(long == True):
        a = twice(text="long")
        with dsl.ParallelFor([1, 2]) as n:
            tell(text=f"{n}")
    with dsl.Else():
        b = twice(text="short")
    return dsl.OneOf(a.output, b.output)


ARGUMENTS = {"long": True}
EXPECTED = {"outputs": {"Output": "longlong"}}
