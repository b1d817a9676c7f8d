# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A pipeline with something of every kind that the dashboard shows. Its steps need the standard library alone."""

from typing import List, NamedTuple

from kedge import dsl
from kedge.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output, PipelineTaskFinalStatus


@dsl.component
def measure(rows: int, table: Output[Dataset], facts: Output[Metrics]):
    """Write a table of so many rows."""
    import csv
    import math
    import sys

    print(f"measuring {rows} flowers")
    print("no sepal was harmed", file=sys.stderr)
    with open(table.path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["species", "petal_length", "petal_width", "note"])
        for number in range(rows):
            species = ["setosa", "versicolor", "virginica"][number % 3]
            writer.writerow([species, round(1.4 + number % 3 + math.sin(number) / 4, 2), round(0.2 + number % 3 / 2, 2), "a, b"])
            if number % 10 == 0:
                print(f"row {number} of {rows}")
    table.metadata["rows"] = rows
    facts.log_metric("rows", rows)
    facts.log_metric("columns", 4)


@dsl.component
def train(table: Input[Dataset], rate: float, model: Output[Model], curve: Output[Metrics]) -> float:
    """Train for twenty epochs; returns the last loss."""
    import math
    import os

    loss = 0.0
    for epoch in range(20):
        loss = 0.05 + math.exp(-rate * epoch)
        curve.log_metric("loss", loss, step=epoch)
        curve.log_metric("accuracy", 1 - loss / 2, step=epoch)
        print(f"epoch {epoch:2d}  loss {loss:.4f}")
    os.makedirs(model.path + "/layers")
    for name, size in (("config.json", 2), ("layers/0.bin", 2000), ("layers/1.bin", 4000)):
        with open(model.path + "/" + name, "wb") as file:
            file.write(b"{}" if size == 2 else bytes(size))
    model.metadata.update(framework="none", rate=rate, loss=loss)
    return loss


@dsl.component
def evaluate(model: Input[Model], quality: Output[Metrics], classes: Output[ClassificationMetrics]):
    """Metrics, a confusion matrix and a ROC curve."""
    quality.log_metric("accuracy", 0.96)
    quality.log_metric("loss", model.metadata["loss"])
    classes.log_confusion_matrix(["setosa", "versicolor", "virginica"], [[50, 0, 0], [0, 47, 3], [0, 4, 46]])
    classes.log_roc_curve([0.0, 0.05, 0.2, 0.5, 1.0], [0.0, 0.7, 0.9, 0.98, 1.0], [1.0, 0.8, 0.6, 0.3, 0.0])


@dsl.component
def picture(image: Output[Artifact]):
    """A PNG, 64 pixels on each side."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + bytes(value for x in range(64) for value in (4 * x, 4 * y, 160)) for y in range(64))
    image.path += ".png"
    with open(image.path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)))
        file.write(chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


@dsl.component
def write(loss: float, page: Output[HTML], card: Output[Markdown]):
    """A page and a model card."""
    with open(page.path, "w") as file:
        file.write(f"<!doctype html><title>Report</title><h1>Flowers</h1><p>Loss: <b>{loss:.3f}</b></p>")
    with open(card.path, "w") as file:
        file.write(f"# Flowers\n\nLoss **{loss:.3f}**, measured with `evaluate`.\n\n- setosa\n- versicolor\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")


@dsl.component
def fold(number: int) -> float:
    """One fold of a cross-validation."""
    print(f"fold {number}")
    return 0.9 + number / 100


@dsl.component
def mean(scores: List[float]) -> float:
    return sum(scores) / len(scores)


@dsl.component
def publish(model: Input[Model]) -> str:
    return "published"


@dsl.component
def regret() -> str:
    return "not good enough"


@dsl.component
def tell(status: PipelineTaskFinalStatus):
    print(f"the run is {status.state}")


@dsl.pipeline(name="cross-validation", description="Five folds, one after another where there is no room.")
def cross_validation(folds: List[int]) -> float:
    with dsl.ParallelFor(folds, name="folds") as number:
        each = fold(number=number)
    return mean(scores=dsl.Collected(each.output)).output


@dsl.pipeline(name="flowers", description="Which flower is it? Of every kind of artifact there is one.")
def flowers(rows: int = 90, rate: float = 0.3, folds: List[int] = [1, 2, 3], least: float = 0.5) -> NamedTuple("Found", [("score", float), ("loss", float)]):
    table = measure(rows=rows).set_display_name("Measure flowers")
    trained = train(table=table.outputs["table"], rate=rate).set_cpu_request("100m").set_memory_limit("512Mi")
    with dsl.ExitHandler(tell(), name="always tell"):
        evaluate(model=trained.outputs["model"])
        picture()
        write(loss=trained.outputs["Output"])
    score = cross_validation(folds=folds)
    with dsl.If(score.output > least, name="good enough"):
        publish(model=trained.outputs["model"])
    with dsl.Else():
        regret()
    return NamedTuple("Found", [("score", float), ("loss", float)])(score.output, trained.outputs["Output"])
