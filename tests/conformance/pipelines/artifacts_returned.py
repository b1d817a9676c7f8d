# type: ignore
# fmt: off
"""Artifacts that a function makes and returns: one, several by name, at an address of dsl.get_uri."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import Dataset, Model


@dsl.component
def one() -> Dataset:
    made = Dataset(uri=dsl.get_uri("rows.csv"), metadata={"rows": 2})
    with open(made.path, "w") as file:
        file.write("a,b")
    return made


@dsl.component
def several(table: Dataset) -> NamedTuple("Made", [("model", Model), ("size", int), ("copy", Dataset)]):
    with open(table.path) as file:
        text = file.read()
    model = Model(uri=dsl.get_uri("model"), metadata={"framework": "none"})
    copy = Dataset(uri=dsl.get_uri("copy"))
    for made in (model, copy):
        with open(made.path, "w") as file:
            file.write(text.upper())
    return model, len(text), copy


@dsl.component
def tell(table: Dataset, model: Model, copy: Dataset, size: int) -> list:
    with open(model.path) as file, open(copy.path) as other:
        return [table.uri.rsplit("/", 1)[1], table.metadata["rows"], model.metadata["framework"], file.read(), other.read(), size]


@dsl.pipeline
def pipeline() -> list:
    table = one().output
    made = several(table=table).outputs
    return tell(table=table, model=made["model"], copy=made["copy"], size=made["size"]).output


EXPECTED = {"outputs": {"Output": ["rows.csv", 2, "none", "A,B", "A,B", 3]}}
