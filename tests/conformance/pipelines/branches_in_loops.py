# type: ignore
# fmt: off
"""A branch in each iteration, on the item and on an output of the iteration; OneOf there; Collected has one for each item."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def note(text: str) -> str:
    return text


@dsl.component
def parity(n: int) -> str:
    return "odd" if n % 2 else "even"


@dsl.component
def show(texts: list) -> str:
    return " ".join(texts)


@dsl.pipeline
def each(n: int) -> str:
    kind = parity(n=n)
    with dsl.If(kind.output == "odd"):
        a = tell(text=f"{n} is odd")
    with dsl.Else():
        b = tell(text=f"{n} is even")
    return dsl.OneOf(a.output, b.output)


@dsl.pipeline
def pipeline() -> str:
    with dsl.ParallelFor([1, 2, 3]) as n:
        done = each(n=n)
        with dsl.If(n > 2):
            note(text=f"{n} is large")
    return show(texts=dsl.Collected(done.output)).output


EXPECTED = {"outputs": {"Output": "1 is odd 2 is even 3 is odd"}, "returned": {"note": [{"Output": "3 is large"}]}}
