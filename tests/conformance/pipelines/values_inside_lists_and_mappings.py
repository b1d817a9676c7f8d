# type: ignore
# fmt: off
"""Outputs and inputs as parts of a constant list or mapping keep their types; in a text among them they become text."""

from kedge import dsl


@dsl.component
def number() -> int:
    return 3


@dsl.component
def word() -> str:
    return "it's \"here\""


@dsl.component
def tell(l: list, d: dict) -> dict:
    return {"l": l, "d": d}


@dsl.pipeline
def pipeline(ratio: float) -> dict:
    n, w = number().output, word().output
    return tell(l=[n, f"{n}!", [w]], d={"n": n, "inner": {"w": w, "r": ratio}, "plain": 1.5}).output


ARGUMENTS = {"ratio": 0.25}
EXPECTED = {
    "outputs": {
        "Output": {
            "l": [3, "3!", ["it's \"here\""]],
            "d": {"n": 3, "inner": {"w": "it's \"here\"", "r": 0.25}, "plain": 1.5},
        }
    }
}
