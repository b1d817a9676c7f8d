# type: ignore
# fmt: off
"""A sub-pipeline that holds an exit handler, used twice: each exit task is told of its own block."""

from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus


@dsl.component
def work(n: int) -> int:
    return 10 // n


@dsl.component
def report(status: PipelineTaskFinalStatus, n: int) -> str:
    return f"{n} {status.state}"


@dsl.pipeline
def guarded(n: int):
    with dsl.ExitHandler(report(n=n)):
        work(n=n)


@dsl.pipeline
def pipeline():
    guarded(n=2)
    guarded(n=0)


EXPECTED = {
    "state": "FAILED", "failure": "ZeroDivisionError",
    "returned": {"report": [{"Output": "2 SUCCEEDED"}, {"Output": "0 FAILED"}]},
}
