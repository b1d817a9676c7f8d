# type: ignore
# fmt: off
"""A step that fails fails the sub-pipelines around it; what needs one of their outputs is skipped, the rest runs."""

from kedge import dsl


@dsl.component
def work(n: int) -> int:
    return 10 // n


@dsl.pipeline
def inner(n: int) -> int:
    good = work(n=1)
    return work(n=n).after(good).output


@dsl.pipeline
def outer(n: int) -> int:
    return inner(n=n).output


@dsl.component
def show(n: int) -> int:
    return n


@dsl.pipeline
def pipeline(n: int = 0):
    show(n=outer(n=n).output)
    show(n=outer(n=5).output)


EXPECTED = {
    "state": "FAILED", "failure": "ZeroDivisionError", "tasks": {"show": "SKIPPED", "show-2": "SUCCEEDED"}, "returned": {"show-2": {"Output": 2}},
}
