# type: ignore
# fmt: off
"""A loop in a branch that is taken, and in one that is not; a loop in a branch in a loop."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def pipeline(go: bool = True):
    with dsl.If(go == True):
        with dsl.ParallelFor([1, 2]) as n:
            tell(text=f"{n}")
            with dsl.If(n == 2):
                with dsl.ParallelFor(["x", "y"]) as s:
                    tell(text=f"{n}{s}")
    with dsl.If(go == False):
        with dsl.ParallelFor([1, 2]) as n:
            tell(text="no")


EXPECTED = {
    "tasks": {"tell-3": []},
    "returned": {"tell": [{"Output": "1"}, {"Output": "2"}], "tell-2": [{"Output": "2x"}, {"Output": "2y"}]},
}
