# type: ignore
# fmt: off
"""Artifacts made in an exit handler's block and used behind it, metadata and metrics in loops, addresses of one's own in loops."""

from typing import List

from kedge import dsl


@dsl.component
def make(n: int, out: dsl.Output[dsl.Model], numbers: dsl.Output[dsl.Metrics]) -> dsl.Dataset:
    out.metadata["n"] = n
    out.framework = "none"
    numbers.log_metric("n", n)
    made = dsl.Dataset(uri=dsl.get_uri(f"mine-{n}"), metadata={"n": n})
    with open(made.path, "w") as file:
        file.write("z" * n)
    return made


@dsl.component
def look(models: dsl.Input[List[dsl.Model]], sets: dsl.Input[List[dsl.Dataset]], numbers: dsl.Input[List[dsl.Metrics]]) -> list:
    return [
        [int(model.metadata["n"]) for model in models], [open(one.path).read() for one in sets],
        [one.metadata["n"] for one in numbers], [one.uri.rpartition("/")[2] for one in sets],
    ]


@dsl.component
def clean(status: dsl.PipelineTaskFinalStatus) -> str:
    return status.state


@dsl.pipeline
def pipeline():
    with dsl.ExitHandler(clean()):
        with dsl.ParallelFor([1, 2]) as n:
            made = make(n=n)
        look(
            models=dsl.Collected(made.outputs["out"]), sets=dsl.Collected(made.outputs["Output"]),
            numbers=dsl.Collected(made.outputs["numbers"]),
        )


EXPECTED = {"returned": {"look": {"Output": [[1, 2], ["z", "zz"], [1, 2], ["mine-1", "mine-2"]]}, "clean": {"Output": "SUCCEEDED"}}}
