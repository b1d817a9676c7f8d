# type: ignore
# fmt: off
"""Placeholders of the job and the task in a container's command line; the task's name is the one that is shown."""

from kedge import dsl
from kedge.dsl import OutputPath


@dsl.container_component
def show(said: OutputPath(str)):
    return dsl.ContainerSpec(
        image="busybox", command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; printf "%s" "$*" > "$0"', said],
        args=[dsl.PIPELINE_TASK_NAME_PLACEHOLDER, f"<{dsl.PIPELINE_JOB_ID_PLACEHOLDER}>", f"at={dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER}"],
    )


@dsl.component
def check(said: str, run: str, created: str) -> str:
    return said.replace(run, "RUN").replace(created, "CREATED")


@dsl.pipeline
def pipeline() -> str:
    said = show().set_display_name("Shown").outputs["said"]
    return check(said=said, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER).output


EXPECTED = {"outputs": {"Output": "Shown <RUN> at=CREATED"}}
