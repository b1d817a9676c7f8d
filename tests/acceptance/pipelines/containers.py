# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Command lines: placeholders, conditional arguments, joined texts, artifacts by path and address."""

from typing import Optional

from kedge import dsl


@dsl.container_component
def copy(
    text: str, times: int, source: dsl.Input[dsl.Dataset], target: dsl.Output[dsl.Model], said: dsl.OutputPath(str), extra: Optional[str] = None
):
    return dsl.ContainerSpec(
        image="alpine:3.20",
        command=["sh", "-c", 'cp "$0" "$1"', source.path],
        args=[
            target.path, said, f"--times={times}", target.uri, dsl.ConcatPlaceholder(["--text=", text]),
            dsl.IfPresentPlaceholder(input_name="extra", then=["--extra", extra], else_=["--none"]), source.metadata["rows"],
        ],
    )


@dsl.container_component
def hello():
    return dsl.ContainerSpec(image="busybox")


@dsl.pipeline
def pipeline(word: str = "hi"):
    table = dsl.importer(artifact_uri="s3://bucket/table", artifact_class=dsl.Dataset)
    first = copy(text=word, times=2, source=table.output)
    copy(text=first.outputs["said"], times=3, source=table.output, extra="more").after(hello())
