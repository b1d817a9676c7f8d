# type: ignore
# fmt: off
"""A cache key that the author chose: tasks of one component that share it share results, whatever they are given."""

from kedge import dsl


@dsl.component
def stamp(n: int) -> str:
    import uuid

    return f"{n} {uuid.uuid4().hex}"


@dsl.component
def same_all(stamps: list) -> list:
    return [len(set(stamps)), len(stamps)]


@dsl.pipeline
def pipeline() -> list:
    with dsl.ParallelFor([1, 2, 3], parallelism=1) as n:
        made = stamp(n=n).set_caching_options(True, cache_key="shared")
    return same_all(stamps=dsl.Collected(made.output)).output


EXPECTED = {"cache": True, "outputs": {"Output": [1, 3]}}
