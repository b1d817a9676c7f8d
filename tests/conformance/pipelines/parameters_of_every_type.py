# type: ignore
# fmt: off
"""Each type of parameter through the run's arguments, a component and back.

Whole numbers stay exact, also beyond 2**53, and a null inside a mapping is a value."""

from typing import Dict, List, NamedTuple

from kedge import dsl


@dsl.component
def echo(i: int, f: float, b: bool, s: str, l: list, d: dict, names: List[str], counts: Dict[str, int]) -> NamedTuple(
    "Echo", [("i", int), ("f", float), ("b", bool), ("s", str), ("l", list), ("d", dict), ("kinds", str)]
):
    kinds = " ".join(type(one).__name__ for one in (i, f, b, s, l, d, names, counts, *names, *counts.values()))
    return i, f, b, s, l, d, kinds


Out = NamedTuple("Out", [("i", int), ("f", float), ("b", bool), ("s", str), ("l", list), ("d", dict), ("kinds", str)])


@dsl.pipeline
def pipeline(i: int, f: float, b: bool, s: str, l: list, d: dict, names: List[str], counts: Dict[str, int]) -> Out:
    said = echo(i=i, f=f, b=b, s=s, l=l, d=d, names=names, counts=counts).outputs
    return Out(said["i"], said["f"], said["b"], said["s"], said["l"], said["d"], said["kinds"])


ARGUMENTS = {
    "i": 9007199254740993, "f": 0.1, "b": False, "s": "", "l": [1, 2.5, "x", None, [True]], "d": {"n": 3, "none": None, "deep": {"a": [], "b": None}},
    "names": ["a", "b"], "counts": {"a": 1},
}
EXPECTED = {
    "outputs": {
        "i": 9007199254740993, "f": 0.1, "b": False, "s": "", "l": [1, 2.5, "x", None, [True]], "d": {"n": 3, "none": None, "deep": {"a": [], "b": None}},
        "kinds": "int float bool str list dict list dict str str int",
    },
}
