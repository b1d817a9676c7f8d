# type: ignore
# fmt: off
"""Placeholders of the job beside values in one text, in a sub-pipeline and in each iteration; defaults of a component hold them too."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def split(text: str, run: str) -> list:
    return text.replace(run, "RUN").split("/")


@dsl.pipeline
def inner(where: str) -> list:
    text = tell(text=f"{where}/{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}/{dsl.PIPELINE_JOB_ID_PLACEHOLDER}").set_display_name("Shown")
    return split(text=text.output, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER).output


@dsl.pipeline
def pipeline(where: str = "here") -> list:
    with dsl.ParallelFor([1, 2]) as number:
        tell(text=f"{number}:{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}")
    return inner(where=f"{where}/{dsl.PIPELINE_JOB_ID_PLACEHOLDER}").output


EXPECTED = {
    "outputs": {"Output": ["here", "RUN", "Shown", "RUN"]},
    "returned": {"split": {"Output": ["here", "RUN", "Shown", "RUN"]}},
}
