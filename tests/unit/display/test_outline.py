"""The tasks of a run as a tree of rows: groups are open, long loops folded with counts, and people open and close them."""

from typing import Any

from kedge.display.folding import Folding
from kedge.display.outline import Row, outline


def task(path: str, kind: str = "step", state: str = "SUCCEEDED") -> dict[str, Any]:
    parent, _, name = path.rpartition(".")
    turn = {"iteration_index": int(name)} if name.isdigit() else {}
    return {"id": path, "name": name, "parent": parent, "kind": kind, "state": state} | turn


def loop(turns: int, *, steps: tuple[str, ...] = ("train",)) -> list[dict[str, Any]]:
    inner = [task(f"each.{turn}", "dag") for turn in range(turns)]
    return [task("each", "loop"), *inner, *(task(f"each.{turn}.{name}") for turn in range(turns) for name in steps)]


def labels(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.depth, row.label) for row in rows]


def test_a_turn_of_one_step_is_one_row() -> None:
    assert labels(outline(loop(2), Folding())) == [(0, "each"), (1, "[0] train"), (1, "[1] train")]


def test_a_turn_of_several_steps_is_a_row_above_them() -> None:
    rows = outline(loop(1, steps=("a", "b")), Folding())
    assert labels(rows) == [(0, "each"), (1, "[0]"), (2, "a"), (2, "b")]


def test_a_long_loop_is_folded_and_counts_its_turns() -> None:
    rows = outline(loop(11), Folding())
    assert labels(rows) == [(0, "each")]
    assert rows[0].counts == {"SUCCEEDED": 11}
    assert len(outline(loop(11), rows[0].toggled)) == 12


def test_turns_stand_in_the_order_of_their_numbers() -> None:
    rows = outline(reversed(loop(11)), Folding.read("each", ""))
    assert [row.label for row in rows[1:]] == [f"[{turn}] train" for turn in range(11)]


def test_what_was_folded_is_one_row_that_counts_its_steps() -> None:
    rows = outline([task("sub", "dag"), task("sub.a"), task("sub.b", state="FAILED")], Folding.read("", "sub"))
    assert labels(rows) == [(0, "sub")]
    assert rows[0].counts == {"SUCCEEDED": 1, "FAILED": 1}
