"""Records: the newest of each container survives, whatever else is in the file."""

import os
from pathlib import Path

from kedge.supervisor import records
from kedge.supervisor.records import Records


def test_the_newest_record_is_found_again(tmp_path: Path) -> None:
    kept = Records(str(tmp_path / "file"))
    kept.write({"id": "a", "state": "running"})
    kept.write({"id": "a", "state": "exited", "code": 1})
    kept.write({"id": "b", "state": "running"})
    kept.drop("b")
    assert Records(str(tmp_path / "file")).all() == [{"id": "a", "state": "exited", "code": 1}]


def test_a_line_that_was_cut_short_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"id": "a", "state": "running"}\n{"id": "b", "sta\n{"id": "c", "state": "running"}\nnonsense\n[]\n')
    assert [record["id"] for record in Records(str(path)).all()] == ["a", "c"]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    kept = Records(str(tmp_path / "file"))
    for number in range(3 * records._MOST_DEAD_LINES):
        kept.write({"id": str(number), "state": "exited"})
        kept.drop(str(number))
    assert len((tmp_path / "file").read_text().splitlines()) <= records._MOST_DEAD_LINES + 2


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    """A record holds the secrets that its log is to mask."""
    Records(str(tmp_path / "file")).write({"id": "a", "state": "running"})
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    kept = Records(str(tmp_path / "file"))
    kept._fd = os.open("/dev/full", os.O_WRONLY)
    assert not kept.write({"id": "a", "state": "exited"})
    assert kept.all() == [{"id": "a", "state": "exited"}]
