"""The data directory has one owner, remembers its ports, and refuses what it must not use."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.errors import StateError
from kedge.home import FORMAT, Home, Host


def test_a_second_process_is_refused_by_name_until_the_first_lets_go(tmp_path: Path) -> None:
    home = Home.acquire(tmp_path, "1.0")
    script = "import sys; from pathlib import Path; from kedge.home import Home; Home.acquire(Path(sys.argv[1]), '1.0')"
    second = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert f"{tmp_path}: another host uses this data directory (process {os.getpid()})" in second.stderr
    assert "`kedge down`" in second.stderr
    home.release()
    assert subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, check=False).returncode == 0


def test_a_newer_directory_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    newer = json.dumps({"format": FORMAT + 1, "version": "9.0"})
    (tmp_path / "version.json").write_text(newer)
    with pytest.raises(StateError, match=r"was written by Kedge 9.0, which is newer than this one. Install that version"):
        Home.acquire(tmp_path, "1.0")
    assert (tmp_path / "version.json").read_text() == newer


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot be used as data directory: .*Set KEDGE_HOME"):
        Home.acquire(tmp_path / "file" / "home", "1.0")


def test_ports_are_remembered_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    home = Home.acquire(tmp_path / "home", "1.0")
    assert home.ports() == (0, 0)
    home.remember_ports(1234, 1235)
    home.announce(Host("http://h", "https://h", "token", "kubeconfig", "data", 1, "1.0", "now"))
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "host.json").stat().st_mode) == 0o600
    home.release()
    assert not (tmp_path / "home" / "host.json").exists()
    again = Home.acquire(tmp_path / "home", "1.0")
    assert again.ports() == (1234, 1235)
    again.release()
