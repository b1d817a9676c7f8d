"""Artifacts inside a step: paths, addresses, metadata and metrics."""

from typing import Any

import pytest

from kedge import dsl
from kedge.dsl import artifacts
from kedge.dsl.artifacts import Artifact, Dataset, Model, address, from_runtime, local_path

PATHS = {
    "gs://b/k": "/gcs/b/k",
    "s3://b/k": "/s3/b/k",
    "minio://b/k": "/minio/b/k",
    "oci://registry/a:1": "/oci/registry_a:1/models",
    "file:///data/x": "/data/x",
    "file:///data/a%20b": "/data/a b",
    "/data/x": "/data/x",
    "": "",
}


@pytest.mark.parametrize(("uri", "path"), PATHS.items())
def test_the_path_follows_from_the_address(uri: str, path: str) -> None:
    assert local_path(uri) == Artifact(uri=uri).path == path


@pytest.mark.parametrize("uri", ["gs://b/k", "s3://b/k", "minio://b/k", "/data/x"])
def test_the_address_follows_from_the_path(uri: str) -> None:
    artifact = Artifact()
    artifact.path = local_path(uri)
    assert artifact.uri == address(local_path(uri)) == uri


def test_whoever_runs_the_step_says_where_an_artifact_lies() -> None:
    artifact = Artifact(uri="s3://b/k")
    artifact.place("/here/k")
    assert (artifact.path, artifact.uri) == ("/here/k", "s3://b/k")
    artifact.place(None)
    assert artifact.path == "/s3/b/k"


def test_an_artifact_with_a_new_address_lies_at_a_new_path_and_the_other_way_round() -> None:
    artifact = Artifact(uri="s3://b/k")
    artifact.place("/here/k")
    artifact.path = artifact.path
    assert artifact.uri == "s3://b/k"
    artifact.uri += "/part.csv"
    assert artifact.path == "/s3/b/k/part.csv"


@pytest.mark.parametrize(
    ("prefix", "folder"), [("s3://b/run/step/0", "/of/the/step"), ("file:///a%20b/run/step/0", "/a b/run/step/0")]
)
def test_outputs_that_a_step_renames_lie_where_it_writes_them(prefix: str, folder: str) -> None:
    artifacts.set_outputs(prefix, folder)
    try:
        made = Artifact(uri=f"{prefix}/model")
        assert made.path == f"{folder}/model"
        made.path += " 1.pickle"
        assert (made.path, made.uri[: len(prefix)]) == (f"{folder}/model 1.pickle", prefix)
        assert Artifact(uri=dsl.get_uri("rows")).path == f"{folder}/rows"
        assert Artifact(uri="s3://b/other").path == "/s3/b/other"
    finally:
        artifacts.set_outputs(None)


def test_an_artifact_of_the_users_class_is_made_without_calling_its_init() -> None:
    class Mine(Artifact):
        def __init__(self, needed: int) -> None:
            raise AssertionError(needed)

    made = from_runtime({"name": "n", "uri": "s3://b/k", "metadata": {"a": 1}, "customPath": "/x"}, Mine)
    assert (made.name, made.uri, made.metadata, made.path, type(made)) == ("n", "s3://b/k", {"a": 1}, "/x", Mine)


def test_a_model_knows_its_framework() -> None:
    model = Model(metadata={"framework": "sklearn"})
    assert model.framework == "sklearn"
    model.framework = "torch"
    assert model.metadata == {"framework": "torch"}


def test_get_uri_is_below_the_steps_outputs() -> None:
    with pytest.raises(RuntimeError, match=r"dsl\.get_uri\('Output'\) was called outside of a running step"):
        dsl.get_uri()
    artifacts.set_outputs("s3://b/run/task/")
    try:
        assert (dsl.get_uri(), dsl.get_uri("model")) == ("s3://b/run/task/Output", "s3://b/run/task/model")
    finally:
        artifacts.set_outputs(None)


def test_metrics_are_numbers_by_name() -> None:
    metrics = dsl.Metrics()
    metrics.log_metric("accuracy", 0.9)
    assert metrics.metadata == {"accuracy": 0.9}


MATRIX = {"annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}], "rows": [{"row": [3, 1]}, {"row": [0, 4]}]}
POINT = {"confidenceThreshold": 0.3, "recall": 0.2, "falsePositiveRate": 0.1}


def test_a_confusion_matrix_grows_by_cell_by_row_or_at_once() -> None:
    cells, rows, whole = dsl.ClassificationMetrics(), dsl.ClassificationMetrics(), dsl.ClassificationMetrics()
    for metrics in (cells, rows):
        metrics.set_confusion_matrix_categories(["a", "b"])
    for row, column, value in (("a", "a", 3), ("a", "b", 1), ("b", "b", 4)):
        cells.log_confusion_matrix_cell(row, column, value)
    rows.log_confusion_matrix_row("a", [3, 1])
    rows.log_confusion_matrix_row("b", [0, 4])
    whole.log_confusion_matrix(["a", "b"], [[3, 1], [0, 4]])
    assert cells.metadata == rows.metadata == whole.metadata == {"confusionMatrix": MATRIX}


def test_a_roc_curve_grows_by_point_or_at_once() -> None:
    points, whole = dsl.ClassificationMetrics(), dsl.ClassificationMetrics()
    points.log_roc_data_point(fpr=0.1, tpr=0.2, threshold=0.3)
    whole.log_roc_curve([0.1], [0.2], [0.3])
    assert points.metadata == whole.metadata == {"confidenceMetrics": [POINT]}
    points.log_roc_reading(threshold=0.3, tpr=0.2, fpr=0.1)
    assert points.metadata["confidenceMetrics"] == [POINT, POINT]


def test_slices_have_metrics_of_their_own() -> None:
    metrics = dsl.SlicedClassificationMetrics()
    metrics.load_confusion_matrix("young", ["a", "b"], [[3, 1], [0, 4]])
    metrics.log_roc_reading("young", threshold=0.3, tpr=0.2, fpr=0.1)
    metrics.set_confusion_matrix_categories("old", ["a", "b"])
    metrics.log_confusion_matrix_row("old", "a", [1, 0])
    metrics.log_confusion_matrix_cell("old", "b", "b", 2)
    metrics.load_roc_readings("old", [[0.3, 0.2, 0.1]])
    old = {"annotationSpecs": MATRIX["annotationSpecs"], "rows": [{"row": [1, 0]}, {"row": [0, 2]}]}
    assert metrics.metadata == {
        "evaluationSlices": [
            {"slice": "young", "sliceClassificationMetrics": {"confusionMatrix": MATRIX, "confidenceMetrics": [POINT]}},
            {"slice": "old", "sliceClassificationMetrics": {"confusionMatrix": old, "confidenceMetrics": [POINT]}},
        ]
    }


WRONG: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "a matrix with too few rows": (
        "log_confusion_matrix", (["a", "b"], [[1, 2]]), "The confusion matrix has 1 rows, but there are 2 categories.",
    ),
    "a row too short": (
        "log_confusion_matrix", (["a", "b"], [[1], [2]]),
        "The row of 'a' has 1 numbers, but the matrix has 2 categories: ['a', 'b'].",
    ),
    "a row before the categories": (
        "log_confusion_matrix_row", ("a", [1]),
        "This confusion matrix has no categories yet. Call set_confusion_matrix_categories([...]) first.",
    ),
    "a curve of different lengths": (
        "log_roc_curve", ([1], [1, 2], [1]), "A ROC curve needs as many fpr (1) as tpr (2) as threshold (1) values.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_metrics_that_do_not_fit_are_refused(case: str) -> None:
    method, arguments, message = WRONG[case]
    with pytest.raises(ValueError) as caught:
        getattr(dsl.ClassificationMetrics(), method)(*arguments)
    assert str(caught.value) == message


def test_an_unknown_category_is_refused() -> None:
    metrics = dsl.ClassificationMetrics()
    metrics.set_confusion_matrix_categories(["a"])
    with pytest.raises(ValueError, match=r"'c' is no category of this confusion matrix\. It has \['a'\]\."):
        metrics.log_confusion_matrix_cell("a", "c", 1)


def test_an_artifact_shows_itself() -> None:
    assert repr(Dataset(name="d", uri="s3://b")) == "Dataset(name='d', uri='s3://b', metadata={})"
