# type: ignore
# fmt: off
"""ConcatPlaceholder: texts, parameters of each type, addresses and paths joined to one argument; nested in another."""

from kedge import dsl
from kedge.dsl import ConcatPlaceholder, Dataset, Input, Output, OutputPath


@dsl.component
def make(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("x")


@dsl.container_component
def show(n: int, sure: bool, text: str, table: Input[Dataset], said: OutputPath(str)):
    return dsl.ContainerSpec(
        image="busybox",
        command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; for one in "$@"; do printf "[%s]" "$one"; done > "$0"', said],
        args=[
            ConcatPlaceholder(["--n=", n]), ConcatPlaceholder([text, "/", sure, "/", ConcatPlaceholder(["<", text, ">"])]),
            ConcatPlaceholder(["uri=", table.uri]), "plain",
        ],
    )


@dsl.component
def check(said: str, table: Input[Dataset]) -> str:
    return said.replace(table.uri, "URI")


@dsl.pipeline
def pipeline() -> str:
    made = make().outputs["out"]
    return check(said=show(n=3, sure=False, text="two words", table=made).outputs["said"], table=made).output


EXPECTED = {"outputs": {"Output": "[--n=3][two words/false/<two words>][uri=URI][plain]"}}
