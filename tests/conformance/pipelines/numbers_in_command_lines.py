# type: ignore
# fmt: off
"""Numbers in a command line: whole ones without a point, others as short as they can be exactly."""

from kedge import dsl
from kedge.dsl import OutputPath


@dsl.container_component
def show(whole: int, large: int, half: float, four: float, tiny: float, third: float, negative: int, said: OutputPath(str)):
    return dsl.ContainerSpec(
        image="busybox", command=["sh", "-c", 'mkdir -p "$(dirname "$0")"; echo -n "$@" > "$0"', said],
        args=[whole, large, half, four, tiny, third, negative],
    )


@dsl.pipeline
def pipeline(large: int, third: float) -> str:
    return show(whole=11, large=large, half=0.5, four=4.0, tiny=0.00001, third=third, negative=-3).outputs["said"]


ARGUMENTS = {"large": 12345678901, "third": 0.3333333333333333}
EXPECTED = {"outputs": {"Output": "11 12345678901 0.5 4 1e-05 0.3333333333333333 -3"}}
