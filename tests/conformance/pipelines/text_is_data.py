# type: ignore
# fmt: off
"""Text goes through as it is, whatever it looks like: quotes, lines, other alphabets, JSON, and what looks like a placeholder."""

from kedge import dsl


@dsl.component
def make() -> str:
    return "{\"a\": 1} 'b' \"c\" $(date) `x` \\\\ \n\t é 漢字 {{}} %d $$ $(KEDGE_HUB)"


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def look(text: str) -> str:
    return repr(text)


@dsl.pipeline
def inner(text: str) -> str:
    return tell(text=text).output


@dsl.component
def same(a: str, b: str, c: str, d: str) -> list:
    return [a == b, a == c, d, len(a)]


@dsl.pipeline
def pipeline(text: str) -> list:
    made = make().output
    return same(a=made, b=tell(text=made).output, c=inner(text=made).output, d=look(text=text).output).output


ARGUMENTS = {"text": "1"}
EXPECTED = {"outputs": {"Output": [True, True, "'1'", 63]}}
