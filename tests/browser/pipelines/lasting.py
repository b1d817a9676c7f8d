# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A pipeline that goes on for as long as it is told to: one short step after another."""

from kedge import dsl


@dsl.component
def numbers(count: int) -> list:
    return list(range(count))


@dsl.component
def tick(number: int) -> int:
    import time

    for part in range(20):
        print(f"tick {number}, part {part}", flush=True)
        time.sleep(0.1)
    return number


@dsl.pipeline(name="lasting")
def lasting(count: int):
    with dsl.ParallelFor(items=numbers(count=count).output, parallelism=2) as number:
        tick(number=number)
