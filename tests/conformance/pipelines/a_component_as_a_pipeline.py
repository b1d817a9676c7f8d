# type: ignore
# fmt: off
"""A component alone is a pipeline of one task, with its inputs and outputs."""

from kedge import dsl


@dsl.component
def pipeline(a: int, b: int = 2) -> int:
    return a * b


ARGUMENTS = {"a": 21}
EXPECTED = {"outputs": {"Output": 42}, "tasks": {"pipeline": "SUCCEEDED"}}
