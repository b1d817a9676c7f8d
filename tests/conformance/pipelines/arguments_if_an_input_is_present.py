# type: ignore
# fmt: off
"""IfPresentPlaceholder for parameters: given, left out, null, false and 0 (which are given); lists, Else, and Concat inside."""

from typing import Optional

from kedge import dsl
from kedge.dsl import ConcatPlaceholder, IfPresentPlaceholder, OutputPath


@dsl.container_component
def show(said: OutputPath(str), name: Optional[str] = None, count: Optional[int] = None, sure: Optional[bool] = None):
    return dsl.ContainerSpec(
        image="busybox",
        command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; for one in "$@"; do printf "[%s]" "$one"; done > "$0"', said],
        args=[
            IfPresentPlaceholder("name", then=["--name", name], else_=["--nobody"]),
            IfPresentPlaceholder("count", then=ConcatPlaceholder(["--count=", count])),
            IfPresentPlaceholder("sure", then=["--sure", sure], else_="unsure"),
        ],
    )


@dsl.component
def join(a: str, b: str, c: str) -> list:
    return [a, b, c]


@dsl.pipeline
def pipeline(nobody: Optional[str] = None) -> list:
    return join(
        a=show(name="Ann", count=0, sure=False).outputs["said"], b=show().outputs["said"], c=show(name=nobody).outputs["said"]
    ).output


EXPECTED = {"outputs": {"Output": ["[--name][Ann][--count=0][--sure][false]", "[--nobody][unsure]", "[--nobody][unsure]"]}}
