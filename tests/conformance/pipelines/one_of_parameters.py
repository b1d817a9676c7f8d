# type: ignore
# fmt: off
"""OneOf of parameters, returned by a sub-pipeline that is used for each branch."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def choose(n: int) -> str:
    with dsl.If(n == 1):
        one = tell(text="one")
    with dsl.Elif(n == 2):
        two = tell(text="two")
    with dsl.Else():
        many = tell(text="many")
    return dsl.OneOf(one.output, two.output, many.output)


@dsl.component
def join(a: str, b: str, c: str) -> list:
    return [a, b, c]


@dsl.pipeline
def pipeline() -> list:
    return join(a=choose(n=1).output, b=choose(n=2).output, c=choose(n=3).output).output


EXPECTED = {"outputs": {"Output": ["one", "two", "many"]}}
