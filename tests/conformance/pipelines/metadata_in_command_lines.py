# type: ignore
# fmt: off
"""An artifact's metadata, name and address as placeholders of a container component."""

from kedge import dsl
from kedge.dsl import Input, Model, Output, OutputPath


@dsl.component
def make(out: Output[Model]):
    out.framework = "torch"
    out.metadata["epochs"] = 3
    out.metadata["tags"] = ["a", "b"]
    with open(out.path, "w") as file:
        file.write("x")


@dsl.container_component
def show(model: Input[Model], said: OutputPath(str)):
    return dsl.ContainerSpec(
        image="busybox",
        command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; for one in "$@"; do printf "[%s]" "$one"; done > "$0"', said],
        args=[model.metadata["framework"], model.metadata["epochs"], model.metadata["tags"]],
    )


@dsl.pipeline
def pipeline() -> str:
    return show(model=make().outputs["out"]).outputs["said"]


EXPECTED = {"outputs": {"Output": '[torch][3][["a","b"]]'}}
