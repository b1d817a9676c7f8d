# type: ignore
# fmt: off
"""Loops over what sub-pipelines returned: mappings whose parts go into conditions, texts and names of options."""

from typing import Dict, List

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def rows(n: int) -> List[Dict[str, str]]:
    return [{"label": f"row-{i}", "go": "yes" if i % 2 == 0 else "no"} for i in range(n)]


@dsl.component
def work(name: str) -> list:
    import os

    return [name, os.environ.get("HOW")]


@dsl.component
def count(words: list) -> int:
    return len(words)


@dsl.pipeline
def plan(n: int) -> List[Dict[str, str]]:
    return rows(n=n).output


@dsl.pipeline
def pipeline(n: int = 3) -> int:
    planned = plan(n=n)
    with dsl.ParallelFor(planned.output) as row:
        with dsl.If(row.go == "yes"):
            work(name=f"{row.label} of {n}")
        with dsl.Else():
            work(name="none")
        done = work(name=row.go)
        kubernetes.use_secret_as_env(done, row.label, {"how": "HOW"}, optional=True)
    return count(words=dsl.Collected(done.output)).output


EXPECTED = {
    "outputs": {"Output": 3},
    "returned": {
        "work": [{"Output": ["row-0 of 3", None]}, {"Output": ["row-2 of 3", None]}],
        "work-2": [{"Output": ["none", None]}],
        "work-3": [{"Output": ["yes", None]}, {"Output": ["no", None]}, {"Output": ["yes", None]}],
    },
}
