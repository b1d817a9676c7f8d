# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Loops over constants, inputs, outputs, fields and artifacts; nested; collected."""

from typing import Dict, List

from kedge import dsl


@dsl.component
def split() -> List[int]:
    return [1]


@dsl.component
def rows() -> List[Dict[str, int]]:
    return [{"a": 1}]


@dsl.component
def words() -> List[str]:
    return ["a"]


@dsl.component
def work(number: int, out: dsl.Output[dsl.Dataset]) -> int:
    return number


@dsl.component
def say(text: str) -> str:
    return text


@dsl.component
def total(numbers: List[int], tables: dsl.Input[List[dsl.Dataset]]) -> int:
    return 1


@dsl.component
def deep(numbers: list):
    pass


@dsl.component
def one(table: dsl.Input[dsl.Dataset]):
    pass


@dsl.pipeline
def pipeline(numbers: List[int] = [1, 2], people: List[Dict[str, str]] = [{"call": "a"}], step: int = 1) -> List[int]:
    with dsl.ParallelFor([1, 2, 3], parallelism=2, name="three times") as number:
        made = work(number=number)
        with dsl.ParallelFor([{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]) as pair:
            inner = say(text=pair.a)
            work(number=step)
            work(number=number).after(inner)
    total(numbers=dsl.Collected(made.outputs["Output"]), tables=dsl.Collected(made.outputs["out"]))
    deep(numbers=dsl.Collected(inner.output))
    with dsl.ParallelFor(numbers) as number:
        work(number=number)
    with dsl.ParallelFor(split().output) as number:
        work(number=number)
    with dsl.ParallelFor(people) as person:
        say(text=person.call)
        with dsl.If(person.call == "a"):
            say(text="first")
    with dsl.ParallelFor(rows().output) as row:
        work(number=row.a)
        with dsl.If(row.b > 3):
            say(text="many")
    with dsl.ParallelFor(words().output) as word:
        say(text=f"{word} {step}")
        with dsl.ParallelFor(split().output) as number:
            work(number=number)
            say(text=word)
    return dsl.Collected(made.outputs["Output"])
