# type: ignore
# fmt: off
"""Tasks after sub-pipelines, in branches and loops: each sees what was written before it."""

from kedge import dsl


@dsl.component
def write(folder: str, text: str) -> str:
    with open(f"{folder}/log", "a+") as file:
        file.write(text)
        file.seek(0)
        return file.read()


@dsl.pipeline
def twice(folder: str, text: str) -> str:
    first = write(folder=folder, text=text).set_caching_options(False)
    return write(folder=folder, text=text).after(first).set_caching_options(False).output


@dsl.pipeline
def pipeline(folder: str, go: str = "aabb"):
    one = twice(folder=folder, text="a")
    two = twice(folder=folder, text="b").after(one)
    with dsl.If(two.output == go):
        three = write(folder=folder, text="c").after(two).set_caching_options(False)
        with dsl.ParallelFor(["d", "e"], parallelism=1) as letter:
            inner = twice(folder=folder, text=letter).after(three)
            write(folder=folder, text="-").after(inner).set_caching_options(False)


ARGUMENTS = {"folder": ""}
EXPECTED = {
    "returned": {
        "write": [{"Output": "aabbcd"}, {"Output": "aabbcdd-e"}, {"Output": "aabbc"}, {"Output": "a"}, {"Output": "aab"}],
        "write-2": [
            {"Output": "aabbcdd"}, {"Output": "aabbcdd-"}, {"Output": "aabbcdd-ee"}, {"Output": "aabbcdd-ee-"},
            {"Output": "aa"}, {"Output": "aabb"},
        ],
    },
}
