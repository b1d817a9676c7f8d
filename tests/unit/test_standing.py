"""What lies in folders is counted as a disk has it, and how much room there is told in words."""

import os
from pathlib import Path

from kedge.node.pressure import room
from kedge.standing import weigh


def test_files_at_any_depth_count_and_one_of_several_names_counts_once(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"12345")
    (below / "two").write_bytes(b"123")
    (below / "three").hardlink_to(tmp_path / "one")
    (below / "link").symlink_to(tmp_path / "one")
    assert weigh(tmp_path) == (3, 8 + len(os.fsencode(tmp_path / "one")))


def test_files_of_one_name_are_counted_alone_and_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "executor-logs").write_bytes(b"12")
    (tmp_path / "a" / "model").write_bytes(b"12345")
    assert weigh(tmp_path, "executor-logs") == (1, 2)
    assert weigh(tmp_path / "nowhere") == (0, 0)


def test_a_disk_with_less_room_than_is_wanted_runs_short(tmp_path: Path) -> None:
    there = room(tmp_path / "not" / "made" / "yet", 0)
    assert there is not None
    assert (there.state, there.free <= there.total) == ("OK", True)
    short = room(tmp_path, 1 << 62)
    assert short is not None
    assert short.state == "SHORT"
