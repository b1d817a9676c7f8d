# type: ignore
# fmt: off
"""Branches within branches, on values of different levels; a branch that is not taken hides all that is in it."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def pipeline(n: int, side: str):
    first = tell(text=side)
    with dsl.If(n > 1):
        second = tell(text="x")
        with dsl.If(first.output == "left"):
            with dsl.If(second.output == "x"):
                tell(text=f"{first.output} {second.output} {n}")
            with dsl.Else():
                tell(text="no")
    with dsl.Else():
        with dsl.If(first.output == "left"):
            tell(text="no")


ARGUMENTS = {"n": 2, "side": "left"}
EXPECTED = {
    "tasks": {"tell-2": "SUCCEEDED", "tell-3": "SUCCEEDED", "tell-4": [], "tell-5": []}, "returned": {"tell-3": {"Output": "left x 2"}},
}
