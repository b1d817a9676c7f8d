# type: ignore
# fmt: off
"""IfPresentPlaceholder for an artifact, with its path; Concat within it and it within Concat."""

from typing import Optional

from kedge import dsl
from kedge.dsl import ConcatPlaceholder, Dataset, IfPresentPlaceholder, Input, Output, OutputPath


@dsl.component
def make(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("rows")


@dsl.container_component
def show(said: OutputPath(str), table: Optional[Input[Dataset]] = None):
    return dsl.ContainerSpec(
        image="busybox",
        command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; [ -z "$2" ] || cat "$2" > "$0"; printf "[%s]" "$1" >> "$0"', said],
        args=[
            ConcatPlaceholder(["table:", IfPresentPlaceholder("table", then="yes", else_="no")]),
            IfPresentPlaceholder("table", then=[table.path]),
        ],
    )


@dsl.component
def join(a: str, b: str) -> list:
    return [a, b]


@dsl.pipeline
def pipeline() -> list:
    return join(a=show(table=make().outputs["out"]).outputs["said"], b=show().outputs["said"]).output


EXPECTED = {"outputs": {"Output": ["rows[table:yes]", "[table:no]"]}}
