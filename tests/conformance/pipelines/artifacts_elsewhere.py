# type: ignore
# fmt: off
"""A step may give an artifact another address or another path; the next step reads from there."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def by_uri(folder: str, out: Output[Dataset]):
    out.uri = f"file://{folder}/elsewhere.txt"
    with open(f"{folder}/elsewhere.txt", "w") as file:
        file.write("by address")


@dsl.component
def by_path(out: Output[Dataset]):
    import os
    import tempfile

    path = os.path.join(tempfile.mkdtemp(), "chosen.txt")
    out.custom_path = path
    with open(out.path, "w") as file:
        file.write("by path")


@dsl.component
def nothing(out: Output[Dataset]):
    out.metadata["empty"] = True


@dsl.component
def read(a: Input[Dataset], b: Input[Dataset], c: Input[Dataset]) -> list:
    with open(a.path) as first, open(b.path) as second:
        return [first.read(), second.read(), c.metadata["empty"]]


@dsl.pipeline
def pipeline(folder: str) -> list:
    return read(a=by_uri(folder=folder).outputs["out"], b=by_path().outputs["out"], c=nothing().outputs["out"]).output


ARGUMENTS = {"folder": ""}
EXPECTED = {"outputs": {"Output": ["by address", "by path", True]}}
