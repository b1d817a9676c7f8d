# type: ignore
# fmt: off
"""Artifacts lie below the pipeline's root, each in a place of its own; the step that reads one is told the same address."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def make(root: str, one: Output[Dataset], two: Output[Dataset]) -> list:
    for artifact in (one, two):
        with open(artifact.path, "w") as file:
            file.write("x")
    below = [artifact.uri.startswith(root.rstrip("/") + "/") for artifact in (one, two)]
    return [*below, one.uri != two.uri, dsl.get_uri("more").startswith(root.rstrip("/") + "/"), one.uri]


@dsl.component
def look(table: Input[Dataset], made: list) -> list:
    return [*made[:-1], table.uri == made[-1], table.name != ""]


@dsl.pipeline
def pipeline() -> list:
    made = make(root=dsl.PIPELINE_ROOT_PLACEHOLDER)
    return look(table=made.outputs["one"], made=made.outputs["Output"]).output


EXPECTED = {"outputs": {"Output": [True, True, True, True, True, True]}}
