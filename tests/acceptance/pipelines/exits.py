# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Exit handlers, the final status, and tasks that ignore failures."""

from kedge import dsl
from kedge.dsl import PipelineTaskFinalStatus


@dsl.component
def work(text: str = "x") -> str:
    return text


@dsl.component
def report(status: PipelineTaskFinalStatus, to: str = "me"):
    pass


@dsl.pipeline
def pipeline(who: str = "you", limit: int = 1):
    end = report(to=who)
    with dsl.ExitHandler(end, name="always tell"):
        first = work(text=who)
        with dsl.If(limit > 0):
            work(text=first.output)
    plain = work()
    with dsl.ExitHandler(work(text="clean up")):
        work()
    failing = work(text="may fail").after(plain)
    work(text=failing.output).ignore_upstream_failure()
    work(text="anyway").after(failing).ignore_upstream_failure()
