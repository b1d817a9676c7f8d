"""Logs: the format, masking, rotation."""

import os
from pathlib import Path

import pytest

from kedge.supervisor.logs import Log

_NOW = 1_795_473_378.657


def _written(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_lines_are_written_as_container_runtimes_write_them(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 1 << 20, [])
    log.write("stdout", b"one\ntwo\n", _NOW)
    log.close(_NOW)
    assert [line.split(" ", 1)[1] for line in _written(tmp_path / "log")] == ["stdout F one", "stdout F two"]
    assert _written(tmp_path / "log")[0].startswith("2026-11-23T22:36:18.65")


def test_a_line_is_held_until_it_ends(tmp_path: Path) -> None:
    """And written at the end if it never does."""
    log = Log(str(tmp_path / "log"), 1 << 20, [])
    log.write("stdout", b"on", _NOW)
    log.write("stderr", b"other\n", _NOW)
    log.write("stdout", b"e\nlast", _NOW)
    log.close(_NOW)
    assert [line.split(" ", 1)[1] for line in _written(tmp_path / "log")] == ["stderr F other", "stdout F one", "stdout F last"]


def test_a_very_long_line_comes_in_parts(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 1 << 20, [])
    for _ in range(10):
        log.write("stdout", b"x" * 5000, _NOW)
    log.write("stdout", b"\n", _NOW)
    log.close(_NOW)
    parts = [line.split(" ", 3) for line in _written(tmp_path / "log")]
    assert [part[2] for part in parts][-1] == "F"
    assert {part[2] for part in parts[:-1]} == {"P"}
    assert "".join(part[3] for part in parts) == "x" * 50000


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_secret_is_masked_wherever_the_pieces_end(tmp_path: Path, cut: int) -> None:
    log = Log(str(tmp_path / "log"), 1 << 20, ["correct-horse"])
    text = b"<correct-horse>\n"
    log.write("stdout", text[:cut], _NOW)
    log.write("stdout", text[cut:], _NOW)
    log.close(_NOW)
    assert _written(tmp_path / "log")[0].endswith(" <***>")


@pytest.mark.parametrize("offset", [16370, 16380, 16384, 16390])
def test_a_secret_is_masked_where_a_long_line_is_cut(tmp_path: Path, offset: int) -> None:
    log = Log(str(tmp_path / "log"), 1 << 20, ["correct-horse"])
    log.write("stdout", b"x" * offset + b"correct-horse" + b"y" * 20000, _NOW)
    log.close(_NOW)
    text = (tmp_path / "log").read_text()
    assert "correct" not in text
    assert "horse" not in text
    assert "***" in text


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_what_is_too_short_for_a_secret_is_not_masked(tmp_path: Path, secret: str) -> None:
    log = Log(str(tmp_path / "log"), 1 << 20, [secret])
    log.write("stdout", b"a abc\n", _NOW)
    log.close(_NOW)
    assert _written(tmp_path / "log")[0].endswith(" a abc")


def test_each_line_of_a_secret_counts(tmp_path: Path) -> None:
    """A private key is printed line by line."""
    log = Log(str(tmp_path / "log"), 1 << 20, ["first-part\nsecond-part\n"])
    log.write("stdout", b"> second-part\n", _NOW)
    log.close(_NOW)
    assert _written(tmp_path / "log")[0].endswith(" > ***")


def test_two_files_stay_within_the_limit(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"), 20000, [])
    for number in range(2000):
        log.write("stdout", f"{number:050d}\n".encode(), _NOW)
    log.close(_NOW)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert sum(sizes) <= 20000
    older, newest = _written(tmp_path / "log.1"), _written(tmp_path / "log")
    numbers = [int(line.rsplit(" ", 1)[1]) for line in older[1:] + newest[1:]]
    assert numbers == list(range(numbers[0], 2000))
    # 51 bytes a line: each file says how much was written before it.
    before = [numbers[0] * 51, (numbers[0] + len(older) - 1) * 51]
    assert [line.split()[2:] for line in (older[0], newest[0])] == [["D", str(count), "20000"] for count in before]


def test_a_log_that_another_supervisor_goes_on_with_counts_on(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    for first in (0, 300):
        log = Log(path, 20000, [])
        for number in range(first, first + 300):
            log.write("stdout", f"{number:050d}\n".encode(), _NOW)
        log.close(_NOW)
    told = [int(_written(tmp_path / name)[0].split()[3]) for name in ("log.1", "log")]
    assert 0 < told[0] < told[1]


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    """Linux has a device for that."""
    log = Log("/dev/full", 1 << 20, [])
    log.write("stdout", b"lost\n", _NOW)
    log.close(_NOW)
    assert os.path.exists("/dev/full")  # noqa: PTH110  # not rotated away either
