# type: ignore
# fmt: off
"""Each operator, over texts, numbers and booleans, of inputs and outputs, with constants and with each other."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def ratio() -> float:
    return 0.5


@dsl.component
def word() -> str:
    return "it's \"so\" or 'so'"


@dsl.pipeline
def pipeline(n: int, f: float, s: str, b: bool, quoted: str):
    with dsl.If(n == 3):
        tell(text="yes")
    with dsl.If(n != 3):
        tell(text="no")
    with dsl.If(f < 0.75):
        tell(text="yes")
    with dsl.If(f >= 0.75):
        tell(text="no")
    with dsl.If(s == "a b"):
        tell(text="yes")
    with dsl.If(s != "a b"):
        tell(text="no")
    with dsl.If(b == True):
        tell(text="yes")
    with dsl.If(b == False):
        tell(text="no")
    with dsl.If(ratio().output <= f):
        tell(text="yes")
    with dsl.If(ratio().output > f):
        tell(text="no")
    with dsl.If(word().output == quoted):
        tell(text="yes")
    with dsl.If(s == ""):
        tell(text="no")
    with dsl.If(word().output == "it's \"so\" or 'so'"):
        tell(text="yes")


ARGUMENTS = {"n": 3, "f": 0.5, "s": "a b", "b": True, "quoted": "it's \"so\" or 'so'"}
EXPECTED = {
    "tasks": {
        "tell": "SUCCEEDED", "tell-2": [], "tell-3": "SUCCEEDED", "tell-4": [], "tell-5": "SUCCEEDED", "tell-6": [],
        "tell-7": "SUCCEEDED", "tell-8": [], "tell-9": "SUCCEEDED", "tell-10": [], "tell-11": "SUCCEEDED", "tell-12": [], "tell-13": "SUCCEEDED",
    },
}
