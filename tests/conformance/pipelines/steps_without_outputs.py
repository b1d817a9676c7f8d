# type: ignore
# fmt: off
"""Steps that take or give nothing, beside each other and in a chain."""

from kedge import dsl


@dsl.component
def nothing():
    print("done")


@dsl.container_component
def command():
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c", "exit 0"])


@dsl.component
def returns_none(n: int = 1) -> None:
    return None


@dsl.pipeline
def pipeline():
    one = nothing()
    two = command().after(one)
    returns_none().after(two)


EXPECTED = {"tasks": {"nothing": "SUCCEEDED", "command": "SUCCEEDED", "returns-none": "SUCCEEDED"}}
