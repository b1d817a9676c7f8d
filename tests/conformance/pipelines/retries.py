# type: ignore
# fmt: off
"""A step that fails is tried again as often as it says; the run does not fail when a later try succeeds."""

from kedge import dsl


@dsl.component
def flaky(folder: str, name: str, good: int) -> int:
    import os

    path = f"{folder}/{name}"
    with open(path, "a") as file:
        file.write("x")
    tries = os.path.getsize(path)
    if tries < good:
        raise ValueError(f"try {tries} fails")
    return tries


@dsl.pipeline
def pipeline(folder: str) -> int:
    flaky(folder=folder, name="at once", good=1).set_retry(2)
    flaky(folder=folder, name="later", good=3).set_retry(num_retries=2, backoff_duration="1s", backoff_factor=1.0, backoff_max_duration="2s")
    with dsl.ParallelFor(["a", "b"]) as name:
        flaky(folder=folder, name=name, good=2).set_retry(1)
    return flaky(folder=folder, name="second", good=2).set_retry(3).output


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "outputs": {"Output": 2},
    "returned": {"flaky": {"Output": 1}, "flaky-2": {"Output": 3}, "flaky-3": [{"Output": 2}, {"Output": 2}]},
}
