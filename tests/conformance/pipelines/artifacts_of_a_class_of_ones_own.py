# type: ignore
# fmt: off
"""A class of artifact that the pipeline's author defines travels with its schema title."""

from kedge import dsl
from kedge.dsl import Artifact, Input, Output


class Vectors(Artifact):
    schema_title = "system.Vectors"
    schema_version = "0.2.0"


@dsl.component
def make(out: Output[Vectors]):
    out.metadata["size"] = 4
    with open(out.path, "w") as file:
        file.write("1 2 3 4")


@dsl.component
def read(vectors: Input[Vectors]) -> str:
    with open(vectors.path) as file:
        return f"{file.read()} ({vectors.metadata['size']})"


@dsl.pipeline
def pipeline() -> str:
    return read(vectors=make().outputs["out"]).output


# kfp lets the step import the class from a package, which its image must have.
EXPECTED = {"ways": ("kedge",), "outputs": {"Output": "1 2 3 4 (4)"}}
