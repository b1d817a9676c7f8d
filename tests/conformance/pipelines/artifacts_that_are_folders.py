# type: ignore
# fmt: off
"""An artifact may be a folder of files and folders."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output


@dsl.component
def make(out: Output[Dataset]):
    import os

    os.makedirs(out.path + "/part=1/deep")
    for name in ("a.txt", "part=1/b c.txt", "part=1/deep/d.txt"):
        with open(os.path.join(out.path, name), "w") as file:
            file.write(name)


@dsl.component
def read(table: Input[Dataset]) -> list:
    import os

    found = []
    for folder, _, files in os.walk(table.path):
        for name in files:
            with open(os.path.join(folder, name)) as file:
                found.append(file.read())
    return sorted(found)


@dsl.pipeline
def pipeline() -> list:
    return read(table=make().outputs["out"]).output


EXPECTED = {"outputs": {"Output": ["a.txt", "part=1/b c.txt", "part=1/deep/d.txt"]}}
