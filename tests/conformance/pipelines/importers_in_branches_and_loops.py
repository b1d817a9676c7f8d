# type: ignore
# fmt: off
"""Importers in a branch, taken and not, and in each iteration of a loop."""

from typing import List

from kedge import dsl
from kedge.dsl import Dataset, Input


@dsl.component
def place(folder: str) -> List[str]:
    found = []
    for name in ("a", "b"):
        with open(f"{folder}/{name}", "w") as file:
            file.write(name.upper())
        found.append(f"file://{folder}/{name}")
    return found


@dsl.component
def read(table: Input[Dataset]) -> str:
    with open(table.path) as file:
        return file.read()


@dsl.pipeline
def pipeline(folder: str, take: bool = True) -> list:
    placed = place(folder=folder)
    with dsl.If(take == True):
        one = dsl.importer(artifact_uri="s3://bucket/taken", artifact_class=Dataset)
    with dsl.If(take == False):
        two = dsl.importer(artifact_uri="s3://bucket/not", artifact_class=Dataset)
    with dsl.ParallelFor(placed.output) as uri:
        brought = dsl.importer(artifact_uri=uri, artifact_class=Dataset, reimport=True)
        text = read(table=brought.output)
    return dsl.Collected(text.output)


ARGUMENTS = {"folder": ""}
EXPECTED = {"outputs": {"Output": ["A", "B"]}, "tasks": {"importer": "SUCCEEDED", "importer-3": ["SUCCEEDED", "SUCCEEDED"]}}
