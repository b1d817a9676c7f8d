"""What of a pipeline is drawn: groups and loops fold, loops show their turns by pages, no drawing is too large."""

from typing import Any

import pytest

from kedge.display.folding import Folding
from kedge.display.graph import COSTS, MOST, Drawing, layout, turns_of

NOTHING = Folding()


def task(component: str, *after: str, loop: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"componentRef": {"name": component}, "dependentTasks": list(after)}
    return found | ({"parameterIterator": {}} if loop else {})


def ir(tasks: dict[str, Any], components: dict[str, Any] | None = None) -> dict[str, Any]:
    dags = {name: {"dag": {"tasks": inner}} for name, inner in (components or {}).items()}
    return {"root": {"dag": {"tasks": tasks}}, "components": dags}


LOOP = ir(
    {"load": task("load"), "each": task("body", "load", loop=True), "sub": task("inner", "each")},
    {"body": {"train": task("train"), "score": task("score", "train")}, "inner": {"one": task("one")}},
)


def paths(drawing: Drawing) -> list[str]:
    return [box.path for box in drawing.boxes]


def cost(drawing: Drawing) -> int:
    return sum(COSTS["folded" if box.folds else "more" if box.kind == "more" else "task"] for box in drawing.boxes)


def test_a_group_is_open_and_a_loop_of_a_run_is_folded() -> None:
    assert paths(layout(LOOP, NOTHING, {"each": range(3)})) == ["load", "each", "sub", "sub.one"]


def test_a_group_that_was_folded_is_one_box() -> None:
    assert paths(layout(LOOP, Folding.read("", "sub"), {})) == ["load", "each", "sub"]


def test_a_loop_that_was_opened_shows_its_turns_and_a_turn_what_is_in_it() -> None:
    drawing = layout(LOOP, Folding.read("each,each.1", ""), {"each": range(3)})
    assert paths(drawing)[1:7] == ["each", "each.0", "each.1", "each.1.train", "each.1.score", "each.2"]
    assert ("each.1.train", "each.1.score") in drawing.edges


def test_a_loop_shows_its_turns_by_pages() -> None:
    first = layout(LOOP, Folding.read("each", ""), {"each": range(100)})
    assert [box.label for box in first.boxes if box.kind == "more"] == ["76 more ▸"]
    last = layout(LOOP, Folding.read("each:5", ""), {"each": range(100)})
    assert [box.path for box in last.boxes if box.kind in {"turn", "more"}] == [
        "each:4",
        *(f"each.{turn}" for turn in range(96, 100)),
    ]


def test_a_turn_of_one_step_is_that_step() -> None:
    pipeline = ir({"each": task("body", loop=True)}, {"body": {"train": task("train")}})
    boxes = layout(pipeline, Folding.read("each", ""), {"each": [0, 1]}).boxes
    assert [(box.path, box.label) for box in boxes[1:]] == [("each.0.train", "[0] train"), ("each.1.train", "[1] train")]


def test_before_any_run_a_loop_shows_what_it_would_do() -> None:
    assert paths(layout(LOOP, NOTHING)) == ["load", "each", "each.train", "each.score", "sub", "sub.one"]


WIDE = ir({"a": task("a"), **{f"w{i}": task("w", "a") for i in range(2000)}, "z": task("z", *(f"w{i}" for i in range(2000)))})
DEEP = ir({f"w{i}": task(f"c{i}", *([f"w{i - 1}"] if i else [])) for i in range(2000)})
NESTED = ir(
    {f"g{i}": task("group") for i in range(200)},
    {"group": {f"s{i}": task("s", *([f"s{i - 1}"] if i else [])) for i in range(10)}},
)


@pytest.mark.parametrize("pipeline", [WIDE, DEEP, NESTED], ids=["wide", "deep", "nested"])
def test_two_thousand_tasks_are_folded_to_what_can_be_drawn(pipeline: dict[str, Any]) -> None:
    drawing = layout(pipeline, NOTHING, {})
    assert cost(drawing) <= MOST
    everything = ",".join(box.path for box in drawing.boxes if box.folds)
    opened = layout(pipeline, Folding.read(everything, ""), {})
    assert cost(opened) <= MOST + COSTS["folded"]
    assert opened.refused or len(opened.boxes) > len(drawing.boxes) or pipeline is NESTED


def test_tasks_that_are_alike_come_in_a_bundle_that_opens() -> None:
    boxes = {box.label: box for box in layout(WIDE, NOTHING, {}).boxes}
    assert list(boxes) == ["a", "2000 of w0", "z"]
    assert len(boxes["2000 of w0"].tasks) == 2000
    opened = layout(WIDE, Folding.read("~1,~1.~0", ""), {})
    assert {"w0", "w44", "z"} < set(paths(opened))


def test_bundles_wait_for_those_above_alone() -> None:
    drawing = layout(DEEP, NOTHING, {})
    places = {box.path: box.y for box in drawing.boxes}
    assert len(places) == 45
    assert all(places[start] < places[end] for start, end in drawing.edges)


def test_turns_are_those_that_have_begun() -> None:
    tasks = [{"parent": "each", "iteration_index": turn} for turn in (2, 0)] + [{"parent": ""}]
    assert turns_of(tasks) == {"each": [0, 2]}
