# type: ignore
# fmt: off
"""OutputPath and InputPath of parameters and artifacts, and several outputs by name beside each other."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import InputPath, OutputPath


@dsl.component
def write(count: OutputPath(int), ratio: OutputPath(float), words: OutputPath(list), table: OutputPath("Dataset")) -> NamedTuple(
    "More", [("sure", bool), ("text", str)]
):
    import json

    with open(count, "w") as file:
        file.write("12")
    with open(ratio, "w") as file:
        file.write("0.25")
    with open(words, "w") as file:
        json.dump(["x", 1], file)
    with open(table, "w") as file:
        file.write("rows")
    return True, "text"


@dsl.component
def read(table: InputPath("Dataset"), count: int, ratio: float, words: list, sure: bool, text: str) -> str:
    with open(table) as file:
        return f"{file.read()} {count!r} {ratio!r} {words!r} {sure!r} {text!r}"


@dsl.pipeline
def pipeline() -> str:
    made = write().outputs
    return read(
        table=made["table"], count=made["count"], ratio=made["ratio"], words=made["words"], sure=made["sure"], text=made["text"]
    ).output


EXPECTED = {"outputs": {"Output": "rows 12 0.25 ['x', 1] True 'text'"}}
