# type: ignore
# fmt: off
"""If, Elif and Else: the first that holds runs, the others do not, nor does what stands in them; the run succeeds."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.pipeline
def pipeline(n: int):
    with dsl.If(n > 10):
        large = tell(text="large")
        tell(text=large.output)
    with dsl.Elif(n > 5):
        tell(text="middle")
    with dsl.Elif(n > 2):
        tell(text="small")
    with dsl.Else():
        tell(text="none")
    with dsl.If(n == 7):
        tell(text="seven")


ARGUMENTS = {"n": 7}
EXPECTED = {
    "tasks": {"tell": [], "tell-2": [], "tell-3": "SUCCEEDED", "tell-4": [], "tell-5": [], "tell-6": "SUCCEEDED"},
}
