# type: ignore
# fmt: off
"""An exit task after a block that fails: it is told what failed; the run fails, and what else depends on the block is skipped."""

from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus


@dsl.component
def work(n: int) -> int:
    if n > 1:
        raise ValueError(f"{n} is too many")
    return n


@dsl.component
def report(status: PipelineTaskFinalStatus) -> list:
    return [status.state, status.error_code, "ValueError: 2 is too many" in status.error_message]


@dsl.pipeline
def pipeline():
    last = report()
    with dsl.ExitHandler(last):
        one = work(n=1)
        two = work(n=2).after(one)
        work(n=0).after(two)


EXPECTED = {
    "state": "FAILED", "failure": "2 is too many",
    "returned": {"report": {"Output": ["FAILED", 1, True]}}, "tasks": {"work": "SUCCEEDED", "work-2": "FAILED", "work-3": "SKIPPED"},
}
