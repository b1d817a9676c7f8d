# type: ignore
# fmt: off
"""Several values of the run within dicts, lists and texts, in nested loops."""

from typing import List

from kedge import dsl


@dsl.component
def letters() -> List[str]:
    return ["a", "b"]


@dsl.component
def number(n: int) -> int:
    return n + 1


@dsl.component
def echo(text: str) -> str:
    return text


@dsl.component
def show(given: dict, words: list) -> list:
    return [given, words]


@dsl.pipeline
def pipeline(name: str = "x", factor: float = 0.5):
    one = number(n=1)
    with dsl.ParallelFor(letters().output) as letter:
        with dsl.ParallelFor([{"n": 1, "w": "p"}, {"n": 2, "w": "q"}]) as row:
            echo(text=letter)
            two = number(n=row.n)
            show(
                given={"t": f"{name}/{letter}/{row.w}/{one.output}/{two.output}", "in": {"f": factor, "n": two.output, "l": [letter, row.n]}},
                words=[name, letter, f"{row.w}-{row.n}", one.output, {"deep": two.output}, 3, True],
            )


EXPECTED = {
    "returned": {
        "show": [
            {"Output": [{"t": "x/a/p/2/2", "in": {"f": 0.5, "n": 2, "l": ["a", 1]}}, ["x", "a", "p-1", 2, {"deep": 2}, 3, True]]},
            {"Output": [{"t": "x/a/q/2/3", "in": {"f": 0.5, "n": 3, "l": ["a", 2]}}, ["x", "a", "q-2", 2, {"deep": 3}, 3, True]]},
            {"Output": [{"t": "x/b/p/2/2", "in": {"f": 0.5, "n": 2, "l": ["b", 1]}}, ["x", "b", "p-1", 2, {"deep": 2}, 3, True]]},
            {"Output": [{"t": "x/b/q/2/3", "in": {"f": 0.5, "n": 3, "l": ["b", 2]}}, ["x", "b", "q-2", 2, {"deep": 3}, 3, True]]},
        ],
    },
}
