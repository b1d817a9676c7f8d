# type: ignore
# fmt: off
"""A pipeline's own outputs: parameters of several tasks and an artifact."""

from typing import NamedTuple

from kedge import dsl
from kedge.dsl import Metrics, Model, Output


@dsl.component
def train(epochs: int, model: Output[Model], metrics: Output[Metrics]) -> float:
    metrics.log_metric("loss", 0.5)
    with open(model.path, "w") as file:
        file.write("w" * epochs)
    return 0.5


@dsl.component
def grade(loss: float) -> str:
    return "good" if loss < 1 else "bad"


Result = NamedTuple("Result", [("loss", float), ("grade", str), ("model", Model), ("metrics", Metrics)])


@dsl.pipeline
def pipeline(epochs: int = 3) -> Result:
    made = train(epochs=epochs)
    return Result(made.outputs["Output"], grade(loss=made.outputs["Output"]).output, made.outputs["model"], made.outputs["metrics"])


EXPECTED = {"outputs": {"loss": 0.5, "grade": "good"}}
