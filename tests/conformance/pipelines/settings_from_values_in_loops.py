# type: ignore
# fmt: off
"""Images, processors, memory and accelerators from values of the run within groups; display names; tries again."""

from kedge import dsl


@dsl.component
def amount(n: int) -> str:
    return f"{n}00Mi"


@dsl.component
def look(n: int) -> int:
    return n


@dsl.pipeline
def pipeline(cpu: str = "200m", image: str = "python:3.11", go: bool = True):
    memory = amount(n=2)
    with dsl.If(go == True, name="go on"):
        with dsl.ParallelFor([1, 2], name="each") as n:
            look(n=n).set_cpu_limit(cpu).set_memory_limit(memory.output).set_container_image(image).set_retry(1).set_display_name("Look")
            own = amount(n=n)
            look(n=n).set_memory_request(own.output).set_cpu_request(cpu)


# kfp does not hand values down to settings of tasks within groups: it fails as it compiles them.
EXPECTED = {"ways": ("kedge",), "returned": {"look": [{"Output": 1}, {"Output": 2}], "look-2": [{"Output": 1}, {"Output": 2}]}}
