# type: ignore
# fmt: off
"""An optional input artifact is None when it is not given, through a sub-pipeline as well."""

from typing import Optional

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def write(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("written")


@dsl.component
def read(table: Optional[Input[Dataset]] = None) -> str:
    if table is None:
        return "nothing"
    with open(table.path) as file:
        return file.read()


@dsl.pipeline
def inner(table: Optional[Input[Dataset]] = None) -> str:
    return read(table=table).output


@dsl.component
def join(a: str, b: str, c: str, d: str) -> str:
    return f"{a} {b} {c} {d}"


@dsl.pipeline
def pipeline() -> str:
    made = write().outputs["out"]
    return join(a=read().output, b=read(table=made).output, c=inner().output, d=inner(table=made).output).output


EXPECTED = {"outputs": {"Output": "nothing written nothing written"}}
