# type: ignore
# fmt: off
"""What a branch of each iteration gave, collected: parameters and artifacts, through a sub-pipeline that chooses."""

from typing import List

from kedge import dsl


@dsl.component
def small(n: int) -> str:
    return f"small {n}"


@dsl.component
def large(n: int, out: dsl.Output[dsl.Dataset]) -> str:
    with open(out.path, "w") as file:
        file.write(f"file of {n}")
    return f"large {n}"


@dsl.component
def tiny(n: int, out: dsl.Output[dsl.Dataset]):
    with open(out.path, "w") as file:
        file.write(f"tiny file of {n}")


@dsl.component
def join(words: List[str]) -> str:
    return ", ".join(words)


@dsl.component
def read(files: dsl.Input[List[dsl.Dataset]]) -> list:
    return [open(file.path).read() for file in files]


@dsl.pipeline
def choose(n: int) -> str:
    with dsl.If(n > 10):
        one = large(n=n)
    with dsl.Else():
        other = small(n=n)
    return dsl.OneOf(one.outputs["Output"], other.output)


@dsl.pipeline
def choose_file(n: int) -> dsl.Dataset:
    with dsl.If(n > 10):
        one = large(n=n)
    with dsl.Elif(n > 5):
        other = large(n=n)
    with dsl.Else():
        third = tiny(n=n)
    return dsl.OneOf(one.outputs["out"], other.outputs["out"], third.outputs["out"])


@dsl.pipeline
def pipeline() -> str:
    with dsl.ParallelFor([1, 7, 30]) as n:
        chosen = choose(n=n)
        file = choose_file(n=n)
    read(files=dsl.Collected(file.output))
    return join(words=dsl.Collected(chosen.output)).output


EXPECTED = {
    "outputs": {"Output": "small 1, small 7, large 30"},
    "returned": {"read": {"Output": ["tiny file of 1", "file of 7", "file of 30"]}},
}
