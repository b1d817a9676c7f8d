# type: ignore
# fmt: off
"""Inputs that may be left out, handed through sub-pipelines and loops: not given, null, given; defaults on each level."""

from typing import Dict, List, Optional

from kedge import dsl


@dsl.component
def show(n: Optional[int] = 5, text: Optional[str] = None, rows: Optional[List[Dict[str, int]]] = None, flag: bool = True) -> list:
    return [n, text, rows, flag]


@dsl.pipeline
def inner(n: Optional[int] = None, text: str = "inner", rows: Optional[list] = None, flag: bool = False) -> list:
    return show(n=n, text=text, rows=rows, flag=flag).output


@dsl.pipeline
def pipeline(given: Optional[int] = None, rows: Optional[list] = None) -> list:
    show()
    inner()
    inner(n=given, text="outer", rows=rows)
    with dsl.ParallelFor([1, 2]) as n:
        inner(n=n, flag=True)
    return inner(n=3, rows=[{"a": 1}]).output


EXPECTED = {
    "outputs": {"Output": [3, "inner", [{"a": 1}], False]},
    "returned": {
        "show": [
            {"Output": [1, "inner", None, True]}, {"Output": [2, "inner", None, True]}, {"Output": [5, "inner", None, False]},
            {"Output": [5, "outer", None, False]}, {"Output": [3, "inner", [{"a": 1}], False]}, {"Output": [5, None, None, True]},
        ],
    },
}
