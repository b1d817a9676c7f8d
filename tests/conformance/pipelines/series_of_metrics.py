# type: ignore
# fmt: off
"""A step logs series of numbers while it runs; what reads its metrics sees the last value of each."""

from kedge import dsl
from kedge.dsl import Input, Metrics, Output


@dsl.component
def train(epochs: int, metrics: Output[Metrics]):
    for epoch in range(epochs):
        metrics.log_metric("loss", 1 / (epoch + 1), step=epoch)
        metrics.log_metric("rate", 0.5, step=epoch, timestamp=1_700_000_000 + epoch)
    metrics.log_metric("accuracy", 0.75)


@dsl.component
def read(metrics: Input[Metrics]) -> dict:
    return {name: metrics.metadata[name] for name in ("loss", "rate", "accuracy")}


@dsl.pipeline
def pipeline(epochs: int = 4) -> dict:
    return read(metrics=train(epochs=epochs).outputs["metrics"]).output


ARGUMENTS = {}
EXPECTED = {"outputs": {"Output": {"loss": 0.25, "rate": 0.5, "accuracy": 0.75}}}
