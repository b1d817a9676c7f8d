# type: ignore
# fmt: off
"""Fields of a loop's items: of constants, of inputs and of outputs; as arguments, in texts, in conditions; nested by two loops."""

from typing import Dict, List

from kedge import dsl


@dsl.component
def rows() -> List[Dict[str, str]]:
    return [{"label": "x", "size": "big"}, {"label": "y", "size": "small"}]


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def double(n: int) -> int:
    return 2 * n


@dsl.pipeline
def pipeline(people: List[Dict[str, str]]) -> list:
    with dsl.ParallelFor([{"n": 1, "w": "one"}, {"n": 2, "w": "two"}]) as pair:
        double(n=pair.n)
        both = tell(text=f"{pair.n} is {pair.w}")
        with dsl.ParallelFor(people) as person:
            tell(text=f"{pair.w} {person.call}")
    with dsl.ParallelFor(rows().output) as row:
        with dsl.If(row.size == "big"):
            tell(text=row.label)
    return dsl.Collected(both.output)


ARGUMENTS = {"people": [{"call": "Ann"}, {"call": "Bo"}]}
EXPECTED = {
    "outputs": {"Output": ["1 is one", "2 is two"]},
    "returned": {
        "double": [{"Output": 2}, {"Output": 4}],
        "tell-2": [{"Output": "one Ann"}, {"Output": "one Bo"}, {"Output": "two Ann"}, {"Output": "two Bo"}],
        "tell-3": [{"Output": "x"}],
    },
}
