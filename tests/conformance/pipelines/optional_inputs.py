# type: ignore
# fmt: off
"""Optional inputs: left out, given, and null from the pipeline's own; a default that is not None applies when null arrives."""

from typing import Optional

from kedge import dsl


@dsl.component
def tell(a: Optional[str] = None, n: Optional[int] = None, d: Optional[dict] = None, word: str = "word") -> str:
    return f"{a!r} {n!r} {d!r} {word!r}"


@dsl.pipeline
def inner(a: Optional[str] = None, n: Optional[int] = 5) -> str:
    return tell(a=a, n=n).output


@dsl.component
def join(one: str, two: str, three: str, four: str, five: str) -> list:
    return [one, two, three, four, five]


@dsl.pipeline
def pipeline(given: Optional[str] = None, absent: Optional[str] = None, count: Optional[int] = None) -> list:
    return join(
        one=tell().output, two=tell(a=given, n=count).output, three=tell(a=absent).output, four=inner().output,
        five=inner(a=given, n=2).output,
    ).output


ARGUMENTS = {"given": "here"}
EXPECTED = {
    "outputs": {
        "Output": [
            "None None None 'word'", "'here' None None 'word'", "None None None 'word'", "None 5 None 'word'", "'here' 2 None 'word'",
        ]
    }
}
