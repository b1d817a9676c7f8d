# type: ignore
# fmt: off
"""parallelism: never more iterations at a time than it says; 1 means one after the other."""

from kedge import dsl


@dsl.component
def work(n: int, folder: str, together: int = 1) -> int:
    import os
    import time

    mine = f"{folder}/{n}"
    open(mine, "w").close()
    # Those that begin first wait for each other, so that they are seen side by side on a slow machine too.
    while n <= together and len(os.listdir(folder)) < together:
        time.sleep(0.02)
    time.sleep(0.15)
    count = len(os.listdir(folder))
    os.remove(mine)
    return count


@dsl.component
def highest(counts: list) -> int:
    return max(counts)


@dsl.pipeline
def pipeline(folder: str) -> int:
    with dsl.ParallelFor([1, 2, 3, 4, 5], parallelism=2) as n:
        seen = work(n=n, folder=folder, together=2).set_caching_options(False)
    most = highest(counts=dsl.Collected(seen.output))
    with dsl.ParallelFor([1, 2, 3], parallelism=1) as n:
        alone = work(n=n, folder=folder).after(most).set_caching_options(False)
    return highest(counts=dsl.Collected(alone.output)).output


ARGUMENTS = {"folder": ""}
EXPECTED = {"outputs": {"Output": 1}, "returned": {"highest": {"Output": 2}}}
