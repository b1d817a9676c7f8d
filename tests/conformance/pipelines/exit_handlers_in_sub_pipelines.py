# type: ignore
# fmt: off
"""An exit handler around a loop, in a sub-pipeline, in a loop: each exit task is told how its own group ended."""

from kedge import dsl


@dsl.component
def work(n: int, bad: int) -> int:
    if n == bad:
        raise ValueError(f"no {n}")
    return n


@dsl.component
def report(status: dsl.PipelineTaskFinalStatus, bad: int) -> list:
    return [bad, status.state, "no 2" in (status.error_message or "")]


@dsl.pipeline
def careful(bad: int):
    with dsl.ExitHandler(report(bad=bad)):
        with dsl.ParallelFor([1, 2]) as n:
            work(n=n, bad=bad)


@dsl.pipeline
def pipeline():
    with dsl.ParallelFor([2, 3]) as bad:
        careful(bad=bad)


EXPECTED = {
    "state": "FAILED",
    "tasks": {"work": ["SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]},
    "returned": {"report": [{"Output": [2, "FAILED", True]}, {"Output": [3, "SUCCEEDED", False]}]},
}
