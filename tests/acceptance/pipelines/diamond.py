# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Fan-out and fan-in of plain tasks in a Python loop; names are made unique."""

from kedge import dsl


@dsl.component
def Add_Up(left: int, right: int) -> int:
    return left + right


@dsl.pipeline(name="fan")
def pipeline(width: int = 4) -> int:
    level = [Add_Up(left=width, right=number) for number in range(4)]
    while len(level) > 1:
        level = [Add_Up(left=one.output, right=two.output) for one, two in zip(level[::2], level[1::2])]
    return level[0].output
