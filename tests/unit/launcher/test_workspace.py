"""Artifacts that are brought into the workspace: whole, once, whoever else brings them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kedge.launcher import workspace
from kedge.launcher.errors import StepError


def test_a_file_is_brought_and_then_left_as_it_is(tmp_path: Path) -> None:
    source, place = tmp_path / "one.txt", tmp_path / "work" / "inner" / "one.txt"
    source.write_text("first")
    workspace.bring(str(place), {"path": str(source)}, "data")
    source.write_text("second")
    workspace.bring(str(place), {"path": str(source)}, "data")
    assert place.read_text() == "first"
    assert [each.name for each in place.parent.iterdir()] == ["one.txt"]


def test_a_folder_that_several_steps_bring_at_the_same_time_is_there_once(tmp_path: Path) -> None:
    source, place = tmp_path / "tables", tmp_path / "work" / "tables"
    (source / "inner").mkdir(parents=True)
    for number in range(50):
        (source / "inner" / str(number)).write_text("a")
    with ThreadPoolExecutor(8) as pool:
        brought = [pool.submit(workspace.bring, str(place), {"path": str(source)}, "data") for _ in range(8)]
        for one in brought:
            one.result()
    assert len(list((place / "inner").iterdir())) == 50
    assert [each.name for each in place.parent.iterdir()] == ["tables"]


def test_what_is_not_there_is_missed_by_name_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "work" / "x"
    with pytest.raises(StepError, match=r"input 'data': nothing lies at .*/nothing. Was it deleted?"):
        workspace.bring(str(place), {"path": str(tmp_path / "nothing")}, "data")
    assert not list(place.parent.iterdir())
