# type: ignore
# fmt: off
"""Each class of artifact with what it logs, read by the next step; types are kept."""

from kedge import dsl
from kedge.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output, SlicedClassificationMetrics


@dsl.component
def make(
    any: Output[Artifact], table: Output[Dataset], model: Output[Model], metrics: Output[Metrics],
    classes: Output[ClassificationMetrics], sliced: Output[SlicedClassificationMetrics], page: Output[HTML], note: Output[Markdown],
):
    for artifact in (any, table, model, page, note):
        with open(artifact.path, "w") as file:
            file.write(type(artifact).__name__)
    model.framework = "sklearn"
    table.metadata.update({"rows": 3, "columns": ["a", "b"], "ratio": 0.5, "clean": True})
    metrics.log_metric("accuracy", 0.75)
    metrics.log_metric("count", 12)
    classes.log_roc_curve([0.0, 0.5], [0.0, 1.0], [1.0, 0.1])
    classes.log_confusion_matrix(["cat", "dog"], [[3, 1], [0, 4]])
    sliced.load_roc_readings("young", [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])


@dsl.component
def read(any: Input[Artifact], table: Input[Dataset], model: Input[Model], metrics: Input[Metrics], classes: Input[ClassificationMetrics], page: Input[HTML], note: Input[Markdown]) -> list:
    texts = []
    for artifact in (any, table, model, page, note):
        with open(artifact.path) as file:
            texts.append(file.read())
    matrix = classes.metadata["confusionMatrix"]
    return [
        texts, model.framework, dict(table.metadata), dict(metrics.metadata), [s["displayName"] for s in matrix["annotationSpecs"]],
        [row["row"] for row in matrix["rows"]], classes.metadata["confidenceMetrics"][1],
    ]


@dsl.pipeline
def pipeline() -> list:
    made = make().outputs
    return read(any=made["any"], table=made["table"], model=made["model"], metrics=made["metrics"], classes=made["classes"], page=made["page"], note=made["note"]).output


EXPECTED = {
    "outputs": {
        "Output": [
            ["Artifact", "Dataset", "Model", "HTML", "Markdown"], "sklearn",
            {"clean": True, "columns": ["a", "b"], "ratio": 0.5, "rows": 3}, {"accuracy": 0.75, "count": 12}, ["cat", "dog"],
            [[3, 1], [0, 4]], {"confidenceThreshold": 0.1, "falsePositiveRate": 0.5, "recall": 1.0},
        ]
    }
}
