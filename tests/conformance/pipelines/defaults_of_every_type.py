# type: ignore
# fmt: off
"""Defaults of a pipeline, of a sub-pipeline and of a component; each may be left out."""

from typing import Dict, List

from kedge import dsl


@dsl.component
def tell(i: int = -3, f: float = 1e-3, b: bool = True, s: str = "a 'quoted' \"text\"", l: list = [1, "b"], d: dict = {"k": [0]}) -> str:
    return f"{i!r} {f!r} {b!r} {s!r} {l!r} {d!r}"


@dsl.pipeline
def inner(i: int = 7, f: float = 2.0, b: bool = False, s: str = "inner", l: List[int] = [], d: Dict[str, str] = {}) -> str:
    return tell(i=i, f=f, b=b, s=s, l=l, d=d).output


@dsl.component
def join(a: str, b: str, c: str) -> list:
    return [a, b, c]


@dsl.pipeline
def pipeline(i: int = 100, s: str = "outer") -> list:
    return join(a=tell().output, b=inner().output, c=inner(i=i, s=s).output).output


EXPECTED = {
    "outputs": {
        "Output": [
            "-3 0.001 True 'a \\'quoted\\' \"text\"' [1, 'b'] {'k': [0]}",
            "7 2.0 False 'inner' [] {}",
            "100 2.0 False 'outer' [] {}",
        ]
    }
}
