"""A run's drawing: every task is in it, after those it waits for, inside the DAG it belongs to, coloured by its state."""

import time
import xml.etree.ElementTree as ET
from typing import Any

from kedge.display.graph import layout
from kedge.display.svg import svg
from kedge.display.tasks import TaskView


def ir(tasks: dict[str, Any], components: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"root": {"dag": {"tasks": tasks}}, "components": components or {}}


def after(*names: str) -> dict[str, Any]:
    return {"dependentTasks": list(names)}


PIPELINE = ir(
    {
        "load": {"taskInfo": {"name": "load <data>"}},
        "each": {
            "componentRef": {"name": "comp-each"},
            "parameterIterator": {},
            "inputs": {"artifacts": {"x": {"taskOutputArtifact": {"producerTask": "load", "outputArtifactKey": "x"}}}},
        },
        "best": after("each"),
    },
    {"comp-each": {"dag": {"tasks": {"train": {}, "score": after("train")}}}},
)


def test_a_task_stands_below_what_it_waits_for() -> None:
    drawing = layout(PIPELINE)
    y = {box.path: box.y for box in drawing.boxes}
    assert y["load"] < y["each"] < y["each.train"] < y["each.score"] < y["best"]
    assert set(drawing.edges) == {("load", "each"), ("each", "best"), ("each.train", "each.score")}


def test_inner_tasks_stand_inside_their_dag_and_nothing_overlaps() -> None:
    boxes = {box.path: box for box in layout(PIPELINE).boxes}
    outer, inner = boxes["each"], boxes["each.score"]
    assert outer.x < inner.x
    assert inner.x + inner.width < outer.x + outer.width
    assert inner.y + inner.height < outer.y + outer.height
    assert outer.y + outer.height < boxes["best"].y


def test_the_picture_is_well_formed_and_tells_states() -> None:
    tasks = [TaskView.from_json({"id": task_id, "state": state}) for task_id, state in
             [("load", "SUCCEEDED"), ("each.0.train", "SUCCEEDED"), ("each.1.train", "FAILED")]]  # fmt: skip
    root = ET.fromstring(svg(PIPELINE, tasks))  # noqa: S314  # our own text
    drawn = {group.get("class"): "".join(group.itertext()) for group in root.iter("{http://www.w3.org/2000/svg}g")}
    assert "load <data>" in drawn["SUCCEEDED"]
    assert "1 failed, 1 succeeded" in drawn["FAILED"]


def test_a_graph_with_a_cycle_is_drawn_all_the_same() -> None:
    assert len(layout(ir({"a": after("b"), "b": after("a")})).boxes) == 2


def test_a_thousand_tasks_are_laid_out_at_once() -> None:
    started = time.perf_counter()
    layout(ir({f"t{n}": after(f"t{n - 1}") if n else {} for n in range(1000)}))
    assert time.perf_counter() - started < 5
