# type: ignore
# fmt: off
"""A task after an exit handler's group: it starts when the group has ended well, whatever the exit task does."""

from kedge import dsl


@dsl.component
def write(folder: str, text: str) -> str:
    with open(f"{folder}/log", "a+") as file:
        file.write(text)
        file.seek(0)
        return file.read()


@dsl.component
def fail():
    raise RuntimeError("no")


@dsl.component
def clean(status: dsl.PipelineTaskFinalStatus) -> str:
    return status.state


@dsl.pipeline
def pipeline(folder: str):
    with dsl.ExitHandler(clean(), name="good") as good:
        write(folder=folder, text="a")
    write(folder=folder, text="b").after(good)
    with dsl.ExitHandler(clean(), name="bad") as bad:
        fail()
    write(folder=folder, text="c").after(bad)


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "state": "FAILED",
    "tasks": {"write-3": "SKIPPED"},
    "returned": {"write": {"Output": "a"}, "write-2": {"Output": "ab"}, "clean": {"Output": "SUCCEEDED"}, "clean-2": {"Output": "FAILED"}},
}
