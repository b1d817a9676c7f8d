# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Every parameter type, defaults, optional ones, texts made of channels, constants that hold channels."""

from typing import Dict, List, NamedTuple, Optional

from kedge import dsl


@dsl.component
def make(seed: int = 3, rate: float = 0.5, flag: bool = True, words: List[str] = ["a"], table: Dict[str, int] = {"a": 1}) -> str:
    """Make a text.

    Args:
        seed: Where to start.
        rate: How fast.
    """
    return "heads"


@dsl.component
def several(text: str, number: Optional[int] = None) -> NamedTuple("Both", [("first", str), ("second", int)]):
    return (text, 1)


@dsl.component
def take(texts: list, table: dict, name: str) -> float:
    return 1.0


@dsl.pipeline(name="Every Parameter", description="All kinds of values", display_name="Parameters", pipeline_root="gs://bucket/root")
def pipeline(word: str, count: int = 3, rates: List[float] = [0.1, 0.2], table: Dict[str, str] = {"k": "v"}, maybe: Optional[str] = None) -> float:
    first = make(seed=count, rate=1.5, words=["x", "y"])
    second = several(text=f"{word}-{first.output}!", number=7)
    make(seed=second.outputs["second"], flag=False, table={"b": 2})
    return take(
        texts=[first.output, "plain", word], table={"a": first.output, "nested": {"list": [count, 1.5]}}, name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER
    ).output
