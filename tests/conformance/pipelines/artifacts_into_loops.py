# type: ignore
# fmt: off
"""An artifact from outside of a loop is used in each iteration, also in a loop in a loop and in a branch there."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("abc")


@dsl.component
def pick(table: Input[Dataset], n: int) -> str:
    with open(table.path) as file:
        return file.read()[n]


@dsl.component
def join(letters: list) -> str:
    return str(letters)


@dsl.pipeline
def pipeline() -> str:
    table = write().outputs["out"]
    with dsl.ParallelFor([0, 1]) as a:
        with dsl.ParallelFor([1, 2]) as b:
            letter = pick(table=table, n=b)
        with dsl.If(a == 1):
            pick(table=table, n=a)
    return join(letters=dsl.Collected(letter.output)).output


EXPECTED = {"outputs": {"Output": "[['b', 'c'], ['b', 'c']]"}, "returned": {"pick-2": [{"Output": "b"}]}}
