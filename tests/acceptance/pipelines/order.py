# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Order without data, also across groups."""

from kedge import dsl


@dsl.component
def step(number: int = 0) -> int:
    return number


@dsl.pipeline
def pipeline(number: int = 1):
    first = step()
    second = step().after(first)
    third = step().after(first, second)
    with dsl.ParallelFor([1, 2]) as item:
        step(number=item).after(third)
    with dsl.If(number == 1):
        inside = step().after(second)
        step().after(inside)
    step(number=third.output).after(first)
