# type: ignore
# fmt: off
"""Lists of artifacts: given to sub-pipelines, returned by them, looped over there, collected again."""

from typing import List

from kedge import dsl


@dsl.component
def make(n: int, out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write("x" * n)


@dsl.component
def longer(data: dsl.Input[dsl.Dataset], out: dsl.Output[dsl.Dataset]):
    with open(data.path) as file, open(out.path, "w") as made:
        made.write(file.read() + "y")


@dsl.component
def sizes(files: dsl.Input[List[dsl.Dataset]]) -> list:
    return [open(file.path).read() for file in files]


@dsl.pipeline
def makes(ns: List[int]) -> List[dsl.Dataset]:
    with dsl.ParallelFor(ns) as n:
        made = make(n=n)
    return dsl.Collected(made.outputs["out"])


@dsl.pipeline
def lengthen(files: List[dsl.Dataset]) -> List[dsl.Dataset]:
    with dsl.ParallelFor(files) as file:
        made = longer(data=file)
    return dsl.Collected(made.outputs["out"])


@dsl.pipeline
def look(files: dsl.Input[List[dsl.Dataset]]) -> list:
    return sizes(files=files).output


@dsl.pipeline
def pipeline(ns: List[int] = [2, 1]) -> list:
    first = makes(ns=ns)
    second = lengthen(files=first.output)
    sizes(files=first.output)
    return look(files=second.output).output


EXPECTED = {"outputs": {"Output": ["xxy", "xy"]}, "returned": {"sizes": [{"Output": ["xxy", "xy"]}, {"Output": ["xx", "x"]}]}}
