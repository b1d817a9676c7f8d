# type: ignore
# fmt: off
"""A step may give an artifact another address or another path; the next step reads from there."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import Dataset, Input, Model, Output


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
def renamed(model: Output[Model], table: Output[Dataset]):
    import os

    model.path = model.path + ".pickle"
    table.uri = table.uri + "/part.csv"
    os.makedirs(os.path.dirname(table.path))
    for made in (model, table):
        with open(made.path, "w") as file:
            file.write("renamed")


@dsl.component
def handed_on(table: Input[Dataset], same: Output[Dataset]):
    same.uri = table.uri


@dsl.component
def read(a: Input[Dataset], b: Input[Dataset], c: Input[Dataset]) -> list:
    with open(a.path) as first, open(b.path) as second:
        return [first.read(), second.read(), c.metadata["empty"]]


@dsl.component
def read_renamed(model: Input[Model], table: Input[Dataset], same: Input[Dataset]) -> list:
    found = []
    for made in (model, table, same):
        with open(made.path) as file:
            found += [made.path.rpartition("/")[2], file.read()]
    return found


@dsl.component
def by_name(out: Output[Model]):
    out.uri = "registry:churn/v1"


@dsl.component
def read_name(out: Input[Model]) -> str:
    return out.uri


@dsl.pipeline
def pipeline(folder: str) -> NamedTuple("Read", first=list, second=list, third=str):
    chosen = read(a=by_uri(folder=folder).outputs["out"], b=by_path().outputs["out"], c=nothing().outputs["out"])
    made = renamed().outputs
    same = handed_on(table=made["table"]).outputs["same"]
    moved = read_renamed(model=made["model"], table=made["table"], same=same)
    name = read_name(out=by_name().outputs["out"])
    return NamedTuple("Read", first=list, second=list, third=str)(first=chosen.output, second=moved.output, third=name.output)


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "outputs": {
        "first": ["by address", "by path", True],
        "second": ["model.pickle", "renamed", "part.csv", "renamed", "part.csv", "renamed"],
        "third": "registry:churn/v1",
    },
}
