# type: ignore
# fmt: off
"""A cache key of one's own in a loop: iterations that have it share one result, whatever their inputs."""

from kedge import dsl


@dsl.component
def stamp(n: int, way: str) -> str:
    import uuid

    return str(uuid.uuid4())


@dsl.component
def same(stamps: list) -> int:
    return len(set(stamps))


@dsl.pipeline
def pipeline(way: str):
    with dsl.ParallelFor([1, 2, 3], parallelism=1) as n:
        shared = stamp(n=n, way=way).set_caching_options(True, cache_key="one for all")
        own = stamp(n=n, way=way).set_caching_options(False)
    same(stamps=dsl.Collected(shared.output))
    same(stamps=dsl.Collected(own.output))


ARGUMENTS = {"way": ""}
EXPECTED = {"cache": True, "returned": {"same": {"Output": 1}, "same-2": {"Output": 3}}}
