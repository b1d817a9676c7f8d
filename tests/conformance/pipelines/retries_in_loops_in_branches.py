# type: ignore
# fmt: off
"""Steps that are tried again, in a loop, in a branch; their results are collected; what ignores failures goes on within a group."""

from typing import List

from kedge import dsl


@dsl.component
def flaky(folder: str, n: int) -> int:
    import os

    name = f"{folder}/tried-{n}"
    tries = os.path.getsize(name) if os.path.exists(name) else 0
    with open(name, "a") as file:
        file.write("x")
    if tries < n:
        raise RuntimeError(f"not yet {n}")
    return tries


@dsl.component
def add(ns: List[int]) -> int:
    return sum(ns)


@dsl.component
def fail() -> str:
    raise RuntimeError("always")


@dsl.component
def after(text: str = "nothing") -> str:
    return text


@dsl.pipeline
def pipeline(folder: str, go: bool = True):
    with dsl.If(go == True):
        with dsl.ParallelFor([0, 1, 2], parallelism=2) as n:
            tried = flaky(folder=folder, n=n).set_retry(2).set_caching_options(False)
        add(ns=dsl.Collected(tried.output))
    with dsl.ParallelFor(["a", "b"]) as item:
        failed = fail()
        after(text=failed.output).ignore_upstream_failure()
        after(text=item).after(failed).ignore_upstream_failure()
        after(text=item).after(failed)


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "state": "FAILED",
    "tasks": {"flaky": ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"], "fail": ["FAILED", "FAILED"], "after-3": ["SKIPPED", "SKIPPED"]},
    "returned": {
        "add": {"Output": 3}, "flaky": [{"Output": 0}, {"Output": 1}, {"Output": 2}],
        "after": [{"Output": "nothing"}, {"Output": "nothing"}], "after-2": [{"Output": "a"}, {"Output": "b"}],
    },
}
