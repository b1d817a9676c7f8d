# type: ignore
# fmt: off
"""What runs after() a task or takes nothing from a skipped branch runs on; what needs a skipped task is skipped; the run succeeds."""

from kedge import dsl


@dsl.component
def tell(text: str) -> str:
    return text


@dsl.component
def fail() -> str:
    raise ValueError("never")


@dsl.pipeline
def pipeline(go: bool = False):
    with dsl.If(go == True):
        inside = fail()
        tell(text=inside.output)
    other = tell(text="other")
    tell(text="last").after(other)


EXPECTED = {"tasks": {"fail": [], "tell": [], "tell-2": "SUCCEEDED", "tell-3": "SUCCEEDED"}}
