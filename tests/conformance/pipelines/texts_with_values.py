# type: ignore
# fmt: off
"""f-strings over inputs and outputs of every type: numbers without a point they do not need, true and false, lists as JSON."""

from typing import List

from kedge import dsl


@dsl.component
def number() -> int:
    return 11


@dsl.component
def half() -> float:
    return 0.5


@dsl.component
def whole() -> float:
    return 4.0


@dsl.component
def sure() -> bool:
    return True


@dsl.component
def items() -> list:
    return [1, "b"]


@dsl.component
def mapping() -> dict:
    return {"k": 1}


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def pipeline(who: str, n: int, flag: bool = False) -> str:
    return tell(
        text=f"{who}/{n}/{flag} {number().output} {half().output} {whole().output} {sure().output} {items().output} "
        f"{mapping().output} {who}"
    ).output


ARGUMENTS = {"who": "me", "n": 30}
EXPECTED = {"outputs": {"Output": 'me/30/false 11 0.5 4 true [1,"b"] {"k":1} me'}}
