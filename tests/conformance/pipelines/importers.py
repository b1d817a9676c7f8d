# type: ignore
# fmt: off
"""Importers: a constant address, one from an input and one from an output; metadata with values; used again or anew."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Model


@dsl.component
def place(folder: str, name: str) -> str:
    with open(f"{folder}/{name}", "w") as file:
        file.write(f"contents of {name}")
    return f"file://{folder}/{name}"


@dsl.component
def read(table: Input[Dataset]) -> str:
    with open(table.path) as file:
        return file.read()


@dsl.component
def about_first(table: Input[Dataset]) -> dict:
    return {key: value for key, value in table.metadata.items() if key != "from"}


@dsl.component
def same(a: Input[Dataset], b: Input[Dataset], c: Input[Dataset]) -> list:
    return [a.uri == b.uri == c.uri, a.name == b.name, a.name == c.name, a.metadata["owner"], b.metadata["owner"]]


@dsl.pipeline
def pipeline(folder: str, uri: str, owner: str = "me", rows: int = 3) -> list:
    placed = place(folder=folder, name="one.txt").output
    about = {"rows": rows, "owner": f"{owner}!", "from": placed, "fixed": 1.5, owner: "key"}
    first = dsl.importer(artifact_uri=placed, artifact_class=Dataset, metadata=about)
    again = dsl.importer(artifact_uri=placed, artifact_class=Dataset, metadata={"owner": f"{owner}!"}).after(first)
    anew = dsl.importer(artifact_uri=placed, artifact_class=Dataset, metadata={"owner": f"{owner}!"}, reimport=True).after(first)
    dsl.importer(artifact_uri=uri, artifact_class=Model, metadata={"kind": "remote"})
    dsl.importer(artifact_uri="s3://bucket/constant", artifact_class=Model)
    about_first(table=first.output)
    read(table=first.output)
    return same(a=first.output, b=again.output, c=anew.output).output


ARGUMENTS = {"folder": "", "uri": "gs://bucket/model"}
EXPECTED = {
    "outputs": {"Output": [True, True, False, "me!", "me!"]},
    "returned": {
        "read": {"Output": "contents of one.txt"}, "about-first": {"Output": {"rows": 3, "owner": "me!", "fixed": 1.5, "me": "key"}},
    },
    "tasks": {"importer": "SUCCEEDED", "importer-5": "SUCCEEDED"},
}
