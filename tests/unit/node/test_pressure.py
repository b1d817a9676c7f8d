"""How tight the machine is, as its files say."""

import sys
from pathlib import Path

import pytest

from kedge.node import pressure


def proc(folder: Path, *, available: int, threads: int) -> Path:
    """A ``/proc`` with so many KiB available and so many threads of at most 1000."""
    (folder / "sys" / "kernel").mkdir(parents=True)
    (folder / "meminfo").write_text(f"MemTotal: 9000000 kB\nMemAvailable:   {available} kB\n")
    (folder / "loadavg").write_text(f"0.20 0.18 0.12 1/{threads} 11206\n")
    for name, most in (("pid_max", 1000), ("threads-max", 4000)):
        (folder / "sys" / "kernel" / name).write_text(f"{most}\n")
    return folder


@pytest.mark.parametrize(
    ("available", "threads", "tight"),
    [(200 << 10, 80, ""), (99 << 10, 80, "MemoryPressure"), (200 << 10, 960, "PIDPressure")],
)
def test_memory_and_processes_are_tight_below_the_kubelets_thresholds(
    tmp_path: Path, available: int, threads: int, tight: str
) -> None:
    told = pressure.observe(tmp_path, proc(tmp_path / "proc", available=available, threads=threads))
    found = {each.type: each for each in told}
    assert [name for name in ("MemoryPressure", "PIDPressure") if found[name].status] == ([tight] if tight else [])
    word = "Insufficient" if tight == "MemoryPressure" else "Sufficient"
    assert found["MemoryPressure"].reason == f"KubeletHas{word}Memory"
    assert found["DiskPressure"].status in {True, False}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a file system without room")
def test_a_disk_is_full_when_nothing_more_can_be_written(tmp_path: Path) -> None:
    assert [pressure.is_full(place) for place in (Path("/proc"), tmp_path, tmp_path / "gone")] == [True, False, False]


def test_what_a_system_does_not_tell_is_unknown(tmp_path: Path) -> None:
    found = {each.type: each for each in pressure.observe(tmp_path / "gone", tmp_path)}
    assert {each.status for each in found.values()} == {None}
    assert {each.reason for each in found.values()} == {"NotObserved"}
