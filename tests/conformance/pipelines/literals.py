# type: ignore
# fmt: off
"""An input that takes some values only: given by a constant, by an argument and by its default."""

from typing import Literal

from kedge import dsl


@dsl.component
def tell(mode: Literal["fast", "slow"] = "slow", level: Literal[1, 2] = 2) -> str:
    return f"{mode} {level!r}"


@dsl.component
def join(a: str, b: str, c: str) -> str:
    return f"{a}, {b}, {c}"


@dsl.pipeline
def pipeline(mode: Literal["fast", "slow"], level: Literal[1, 2] = 1) -> str:
    return join(a=tell().output, b=tell(mode="fast", level=1).output, c=tell(mode=mode, level=level).output).output


ARGUMENTS = {"mode": "fast"}
# Not in kfp 2.17.0, but in its next release.
EXPECTED = {"ways": ("kedge",), "outputs": {"Output": "slow 2, fast 1, fast 1"}}
