# type: ignore
# fmt: off
"""A value made by a step that is none of an input's literals fails the task that is given it, and says what is allowed."""

from typing import Literal

from kedge import dsl


@dsl.component
def choose() -> str:
    return "sideways"


@dsl.component
def move(way: Literal["up", "down"]) -> str:
    return way


@dsl.pipeline
def pipeline():
    move(way=choose().output)


# Not in kfp 2.17.0, but in its next release.
EXPECTED = {"ways": ("kedge",), "state": "FAILED", "failure": "expected one of up, down, got text (sideways)", "tasks": {"choose": "SUCCEEDED", "move": "FAILED"}}
