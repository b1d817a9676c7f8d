# type: ignore
# fmt: off
"""OneOf of artifacts, returned by a sub-pipeline."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(text: str, out: Output[Dataset]):
    out.metadata["text"] = text
    with open(out.path, "w") as file:
        file.write(text)


@dsl.component
def read(table: Input[Dataset]) -> str:
    with open(table.path) as file:
        return f"{file.read()} {table.metadata['text']}"


@dsl.pipeline
def choose(n: int) -> Dataset:
    with dsl.If(n == 1):
        one = write(text="one")
    with dsl.Else():
        other = write(text="other")
    return dsl.OneOf(one.outputs["out"], other.outputs["out"])


@dsl.component
def join(a: str, b: str, c: str) -> list:
    return [a, b, c]


@dsl.pipeline
def pipeline(n: int = 1) -> list:
    a, b, c = choose(n=n), choose(n=2), choose(n=3)
    return join(a=read(table=a.output).output, b=read(table=b.output).output, c=read(table=c.output).output).output


EXPECTED = {"outputs": {"Output": ["one one", "other other", "other other"]}}
