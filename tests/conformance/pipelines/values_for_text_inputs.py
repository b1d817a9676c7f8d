# type: ignore
# fmt: off
"""A text input takes a value of any type, as text; other inputs take their own type only, and a whole number for a float."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def half(number: float) -> float:
    return number / 2


@dsl.pipeline
def pipeline(rows: list = [{"a": 1, "b": 2.0, "c": [True], "d": {"e": "f"}, "n": 7}]) -> list:
    with dsl.ParallelFor(rows) as row:
        a = tell(text=row.a)
        tell(text=row.c)
        tell(text=row.d)
        half(number=row.n)
    return dsl.Collected(a.output)


EXPECTED = {
    "outputs": {"Output": ["1"]},
    "returned": {"tell-2": [{"Output": "[true]"}], "tell-3": [{"Output": '{"e":"f"}'}], "half": [{"Output": 3.5}]},
}
