# type: ignore
# fmt: off
"""A command that ends with another code than 0 fails its step; the code is said."""

from kedge import dsl
from kedge.dsl import OutputPath


@dsl.container_component
def command(said: OutputPath(str)):
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", "echo oops >&2; exit 3"])


@dsl.component
def use(text: str):
    pass


@dsl.pipeline
def pipeline():
    use(text=command().outputs["said"])


EXPECTED = {"state": "FAILED", "failure": "exit code 3", "tasks": {"command": "FAILED", "use": "SKIPPED"}}
