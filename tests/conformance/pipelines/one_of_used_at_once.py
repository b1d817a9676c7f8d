# type: ignore
# fmt: off
"""OneOf of parameters and of artifacts after three branches: given to steps, to a condition and to a loop's steps."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(n: int, out: Output[Dataset]) -> int:
    with open(out.path, "w") as file:
        file.write("x" * n)
    return n


@dsl.component
def read(table: Input[Dataset], n: int, plus: int = 0) -> str:
    with open(table.path) as file:
        return f"{file.read()} {n + plus}"


@dsl.pipeline
def pipeline(side: str = "right") -> str:
    with dsl.If(side == "left"):
        one = write(n=1)
    with dsl.Elif(side == "right"):
        two = write(n=2)
    with dsl.Else():
        three = write(n=3)
    number = dsl.OneOf(one.outputs["Output"], two.outputs["Output"], three.outputs["Output"])
    table = dsl.OneOf(one.outputs["out"], two.outputs["out"], three.outputs["out"])
    with dsl.If(number == 2):
        read(table=table, n=number)
    with dsl.ParallelFor([10, 20]) as plus:
        read(table=table, n=number, plus=plus)
    return read(table=table, n=number).output


EXPECTED = {
    "outputs": {"Output": "xx 2"}, "returned": {"read": {"Output": "xx 2"}, "read-2": [{"Output": "xx 12"}, {"Output": "xx 22"}]},
}
