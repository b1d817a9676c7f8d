# type: ignore
# fmt: off
"""ignore_upstream_failure: a task runs whatever became of those before it; defaults stand in for values that are missing."""

from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus


@dsl.component
def fail() -> str:
    raise ValueError("on purpose")


@dsl.component
def good() -> str:
    return "good"


@dsl.component
def use(text: str = "default") -> str:
    return text


@dsl.component
def tell(status: PipelineTaskFinalStatus, text: str = "none") -> list:
    return [status.state, status.pipeline_task_name, text]


@dsl.pipeline
def pipeline():
    bad = fail()
    use(text=bad.output).ignore_upstream_failure()
    use(text=good().output).ignore_upstream_failure()
    use().after(bad)
    use(text="runs").after(bad).ignore_upstream_failure()
    tell(text=bad.output).ignore_upstream_failure()


EXPECTED = {
    "state": "FAILED", "failure": "on purpose",
    "returned": {
        "use": {"Output": "default"}, "use-2": {"Output": "good"}, "use-4": {"Output": "runs"}, "tell": {"Output": ["FAILED", "fail", "none"]},
    },
    "tasks": {"use-3": "SKIPPED"},
}
