# type: ignore
# fmt: off
"""An exit task after a block that succeeds: its status, and values of the pipeline."""

from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus


@dsl.component
def work(text: str) -> str:
    return text


@dsl.component
def report(status: PipelineTaskFinalStatus, who: str) -> list:
    return [status.state, status.pipeline_task_name, bool(status.pipeline_job_resource_name), status.error_code, status.error_message, who]


@dsl.pipeline
def pipeline(who: str = "me"):
    last = report(who=who)
    with dsl.ExitHandler(last, name="all of it"):
        first = work(text=who)
        work(text=first.output)


EXPECTED = {"returned": {"report": {"Output": ["SUCCEEDED", "exit-handler-1", True, None, None, "me"]}}}
