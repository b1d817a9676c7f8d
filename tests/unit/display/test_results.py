"""Results are found among the tasks by the types of their artifacts."""

from typing import Any

import pytest

from kedge.display.results import File, Matrix, results
from kedge.display.tasks import TaskView


def step(task_id: str, name: str, artifact: dict[str, Any], state: str = "SUCCEEDED") -> TaskView:
    body = {"id": task_id, "state": state, "outputs": {"artifacts": {name: [artifact]}}, "finished_at": "2026-11-23T09:00:00Z"}
    return TaskView.from_json(body)


METRICS = {
    "name": "scores",
    "schema_title": "system.Metrics",
    "uri": "file:///a/scores",
    "metadata": {"accuracy": 0.97, "rows": 69.0},
}
MATRIX = {"annotationSpecs": [{"displayName": "Adelie"}, {"displayName": "Gentoo"}], "rows": [{"row": [5, 1]}, {"row": [0, 7]}]}


def test_metrics_matrices_and_files_are_collected() -> None:
    found = results(
        [
            step("evaluate", "scores", METRICS),
            step("evaluate", "matrix", {"schema_title": "system.ClassificationMetrics", "metadata": {"confusionMatrix": MATRIX}}),
            step("report", "page", {"schema_title": "system.HTML", "uri": "file:///a/b%20c/page"}),
            step("train", "model", {"schema_title": "system.Model", "uri": "s3://bucket/model"}),
            step("clean", "table", {"schema_title": "system.Dataset", "uri": "file:///a/table"}),
        ]
    )
    assert found.metrics == (("evaluate · scores · accuracy", 0.97), ("evaluate · scores · rows", 69.0))
    assert found.matrices == (Matrix("evaluate · matrix", ("Adelie", "Gentoo"), ((5, 1), (0, 7))),)
    assert found.files == (File("train · model", "Model", "s3://bucket/model"), File("report · page", "HTML", "/a/b c/page"))


@pytest.mark.parametrize(
    ("task_id", "state"), [("each.3.evaluate", "SUCCEEDED"), ("evaluate", "FAILED")], ids=["in a loop", "failed"]
)
def test_what_a_loop_tried_and_what_failed_is_left_out(task_id: str, state: str) -> None:
    assert results([step(task_id, "scores", METRICS, state)]).metrics == ()


@pytest.mark.parametrize("metadata", [{}, {"confusionMatrix": 3}, {"confusionMatrix": {"annotationSpecs": [{}], "rows": []}}])
def test_a_matrix_that_cannot_be_drawn_is_left_out(metadata: dict[str, Any]) -> None:
    artifact = {"schema_title": "system.ClassificationMetrics", "metadata": metadata}
    assert results([step("evaluate", "matrix", artifact)]).matrices == ()
