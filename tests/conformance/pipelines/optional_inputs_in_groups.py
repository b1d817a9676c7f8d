# type: ignore
# fmt: off
"""An input that may be left out, used within branches and loops: null is handed on, and what compares with it sees null."""

from typing import List, Optional

from kedge import dsl


@dsl.component
def show(a: str, b: Optional[str] = None, n: Optional[int] = 5, rows: Optional[List[str]] = None) -> list:
    return [a, b, n, rows]


@dsl.component
def absent(model: Optional[dsl.Input[dsl.Artifact]] = None) -> bool:
    return model is None


@dsl.pipeline
def inner(a: str, b: Optional[str] = None, model: Optional[dsl.Input[dsl.Artifact]] = None):
    show(a=a, b=b)
    with dsl.ParallelFor([1, 2]) as i:
        show(a=f"{a}{i}", b=b, n=i)
        absent(model=model)


@dsl.pipeline
def pipeline(b: Optional[str] = None, e: str = "", given: Optional[int] = None, rows: Optional[List[str]] = None):
    with dsl.If(e == "", name="e is empty"):
        show(a="in a branch", b=b, n=given)
        with dsl.If(b != "x"):
            show(a="b is not x", rows=rows)
        with dsl.Else():
            show(a="never")
    with dsl.ParallelFor(["i", "j"]) as item:
        with dsl.If(item == "j"):
            show(a=item, b=b, rows=rows)
    inner(a="s", b=b)


ARGUMENTS = {"given": 4}
EXPECTED = {
    "returned": {
        "absent": [{"Output": True}, {"Output": True}],
        "show": [{"Output": ["in a branch", None, 4, None]}, {"Output": ["s", None, 5, None]}],
        "show-2": [
            {"Output": ["b is not x", None, 5, None]}, {"Output": ["s1", None, 1, None]}, {"Output": ["s2", None, 2, None]},
        ],
        "show-4": {"Output": ["j", None, 5, None]},
    },
}
