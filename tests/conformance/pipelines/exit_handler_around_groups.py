# type: ignore
# fmt: off
"""An exit handler around a loop, a branch that is not taken and a sub-pipeline; the exit task is a plain one."""

from kedge import dsl


@dsl.component
def work(folder: str, name: str):
    with open(f"{folder}/log", "a") as file:
        file.write(name)


@dsl.component
def clean(folder: str) -> int:
    with open(f"{folder}/log") as file:
        return len(file.read())


@dsl.pipeline
def inner(folder: str):
    work(folder=folder, name="i")


@dsl.pipeline
def pipeline(folder: str, go: bool = False):
    with dsl.ExitHandler(clean(folder=folder)):
        with dsl.ParallelFor(["a", "b", "c"]) as name:
            work(folder=folder, name=name)
        with dsl.If(go == True):
            work(folder=folder, name="no")
        inner(folder=folder)


ARGUMENTS = {"folder": ""}
EXPECTED = {"returned": {"clean": {"Output": 4}}}
