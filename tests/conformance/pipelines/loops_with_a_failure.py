# type: ignore
# fmt: off
"""One iteration that fails fails the loop and the run, after the others have run; what collects the loop is skipped."""

from kedge import dsl


@dsl.component
def work(n: int) -> int:
    if n == 2:
        raise ValueError("two is wrong")
    return n


@dsl.component
def total(numbers: list) -> int:
    return sum(numbers)


@dsl.component
def apart() -> str:
    return "done"


@dsl.pipeline
def pipeline():
    with dsl.ParallelFor([1, 2, 3]) as n:
        done = work(n=n)
    total(numbers=dsl.Collected(done.output))
    apart()


EXPECTED = {
    "state": "FAILED", "failure": "two is wrong",
    "tasks": {"work": ["SUCCEEDED", "FAILED", "SUCCEEDED"], "total": "SKIPPED", "apart": "SUCCEEDED"},
}
