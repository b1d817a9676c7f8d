"""How tight this machine is: the conditions of its Node that are observed, by the kubelet's thresholds.

They tell people. Unlike on a cluster they keep no Pod away: a laptop whose disk is nine tenths full is an ordinary one.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_LEAST_MEMORY = 100 << 20
_LEAST_DISK = 0.10
_FULL = 1 << 20  # bytes; a log is longer
_LEAST_INODES = 0.05
_LEAST_PROCESSES = 0.05


@dataclass(frozen=True, slots=True)
class Observation:
    """One condition.

    Attributes:
        type: ``MemoryPressure``, ``DiskPressure`` or ``PIDPressure``.
        status: ``None`` where this system does not tell.
        reason: As the kubelet gives it.
        message: A sentence.
    """

    type: str
    status: bool | None
    reason: str
    message: str


def observe(home: Path, proc: Path = Path("/proc")) -> list[Observation]:
    """Look at memory, disk and processes; takes a fraction of a millisecond.

    Args:
        home: Where Pods keep what they write.
        proc: Where the system tells.
    """
    return [
        _said("MemoryPressure", "Memory", "memory available", _memory(proc)),
        _said("DiskPressure", "Disk", "disk pressure", _disk(home)),
        _said("PIDPressure", "PID", "PID available", _processes(proc)),
    ]


def _said(kind: str, noun: str, what: str, tight: bool | None) -> Observation:  # noqa: FBT001  # three states
    if tight is None:
        return Observation(kind, None, "NotObserved", f"{sys.platform} does not tell")
    if noun == "Disk":
        word = "has" if tight else "has no"
        return Observation(kind, tight, f"KubeletHas{'' if tight else 'No'}DiskPressure", f"the machine {word} {what}")
    word, tells = ("Insufficient", "insufficient") if tight else ("Sufficient", "sufficient")
    return Observation(kind, tight, f"KubeletHas{word}{noun}", f"the machine has {tells} {what}")


def _memory(proc: Path) -> bool | None:
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if available is None else int(available) << 10 < _LEAST_MEMORY


def _disk(home: Path) -> bool | None:
    try:
        found = os.statvfs(home)
    except OSError:
        return None
    full = found.f_bavail < found.f_blocks * _LEAST_DISK
    # Some file systems have no fixed number of inodes and say 0.
    return full or (found.f_files > 0 and found.f_favail < found.f_files * _LEAST_INODES)


@dataclass(frozen=True, slots=True)
class Room:
    """What there is on a disk.

    Attributes:
        total: Bytes.
        free: Bytes that may be written yet.
        state: ``OK``; ``SHORT``: an environment may not fit any more; ``FULL``: next to nothing more can be written.
    """

    total: int
    free: int
    state: Literal["OK", "SHORT", "FULL"]


def room(place: Path, wanted: int = 0) -> Room | None:
    """How much room there is where a file or folder lies, or will lie; ``None`` where the system does not tell.

    Args:
        place: Which disk.
        wanted: Bytes; with less it is short.
    """
    try:
        found = os.statvfs(next(each for each in (place, *place.parents) if each.exists()))
    except (OSError, StopIteration):
        return None
    free = found.f_bavail * found.f_frsize
    full = free < _FULL or (found.f_files > 0 and found.f_favail == 0)
    return Room(found.f_blocks * found.f_frsize, free, "FULL" if full else "SHORT" if free < wanted else "OK")


def is_full(place: Path) -> bool:
    """Whether next to nothing more can be written where a file lies."""
    found = room(place)
    return found is not None and found.state == "FULL"


def _processes(proc: Path) -> bool | None:
    try:
        most = min(int((proc / "sys" / "kernel" / name).read_text(encoding="ascii")) for name in ("pid_max", "threads-max"))
        # "0.20 0.18 0.12 1/80 11206": how many run, of how many threads there are
        threads = int((proc / "loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return None
    return most - threads < most * _LEAST_PROCESSES
