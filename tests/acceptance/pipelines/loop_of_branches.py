# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Branches in loops, with a choice used in the same iteration; a loop in a branch."""

from kedge import dsl


@dsl.component
def flip(seed: int) -> str:
    return "heads"


@dsl.component
def say(text: str) -> str:
    return text


@dsl.pipeline
def pipeline(word: str = "w"):
    with dsl.ParallelFor([1, 2, 3]) as seed:
        coin = flip(seed=seed)
        with dsl.If(coin.output == "heads"):
            heads = say(text=word)
        with dsl.Else():
            tails = say(text="tails")
        say(text=dsl.OneOf(heads.output, tails.output))
    with dsl.If(word == "w"):
        with dsl.ParallelFor(["a", "b"]) as letter:
            said = say(text=letter)
            say(text=f"{letter}{word}{said.output}")
