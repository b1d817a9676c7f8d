"""A private file is whole, and nobody else's, at every moment."""

import stat
from pathlib import Path

import pytest

from kedge.files import write_private


def test_it_replaces_what_was_there_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["token"]


def test_what_a_killed_process_left_beside_it_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".token.new").write_text("half")
    (tmp_path / ".token.new").chmod(0o644)
    write_private(tmp_path / "token", b"whole", mode=0o600)
    assert (tmp_path / "token").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_where_it_cannot_be_written_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        write_private(path, "new")
    assert (path / "inside").exists()
