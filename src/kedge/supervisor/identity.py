"""Which process is meant: (boot id, pid, start time), so that a pid used again by another process is never taken for a step."""

import ctypes
import os
import struct
import sys
import time
from typing import Any


def now() -> float:
    """Seconds since 1970; the supervisor's only clock for what it writes down."""
    return time.time()  # noqa: TID251  # standard library only: the supervisor has no Clock to be handed


def boot_id() -> str:
    """A text that is the same until the machine starts again."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return _darwin_boot_time()


def start_time(pid: int) -> str:
    """When a process started, in the system's own unit; empty when there is none, or it has ended and waits to be reaped."""
    if sys.platform == "darwin":
        return _darwin_start_time(pid)
    try:
        text = _content(f"/proc/{pid}/stat")
    except OSError:
        return ""
    fields = text[text.rindex(b")") + 2 :].split()
    return "" if fields[0] in {b"Z", b"X"} else fields[19].decode()


def is_running(pid: int, started: str) -> bool:
    """Whether the very process that was written down still runs."""
    return bool(started) and start_time(pid) == started


def ended_child() -> int:
    """Pid of a child that has ended, not reaped: its number is nobody else's until it is; 0 when there is none."""
    if sys.platform == "darwin":
        return _darwin_ended_child()
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


def used(told: Any) -> tuple[float, int]:
    """Seconds of processors and, at its peak, bytes of memory, of what `os.wait4` tells of a process and those it waited for."""
    unit = 1 if sys.platform == "darwin" else 1024
    return told.ru_utime + told.ru_stime, told.ru_maxrss * unit


def children() -> list[int]:
    """Pids of this process's children, adopted ones included; empty where the system does not tell."""
    try:
        return [int(pid) for pid in _content(f"/proc/self/task/{os.getpid()}/children").split()]
    except OSError:
        return []


def _content(path: str) -> bytes:
    """The whole of a small file of the kernel's, with as few calls as can be: one is read twice for each step."""
    pieces: list[bytes] = []
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(fd, 1 << 14):
            pieces.append(piece)
    finally:
        os.close(fd)
    return b"".join(pieces)


def name(pid: int) -> str:
    """The name of a process's program, as far as the kernel keeps it; empty when it cannot be told."""
    try:
        return _content(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def mount_namespace(pid: int) -> int:
    """Number of a process's mount namespace; 0 when it cannot be told."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return 0


def _darwin_ended_child() -> int:
    # waitid(P_ALL, 0, info, WNOHANG | WEXITED | WNOWAIT), which Python lacks here before 3.13: siginfo_t, 104 bytes, pid at 12.
    info = ctypes.create_string_buffer(104)
    if ctypes.CDLL(None).waitid(0, 0, info, 0x01 | 0x04 | 0x20) != 0:
        return 0
    return int(struct.unpack_from("=i", info.raw, 12)[0])


def _darwin_boot_time() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    data = ctypes.create_string_buffer(16)
    size = ctypes.c_size_t(16)
    if libc.sysctlbyname(b"kern.boottime", data, ctypes.byref(size), None, 0) != 0:
        return ""
    return str(struct.unpack_from("=q", data.raw)[0])


def _darwin_start_time(pid: int) -> str:
    # proc_pidinfo(PROC_PIDTBSDINFO): struct proc_bsdinfo, 136 bytes, status at 4, start seconds and microseconds at its end.
    libc = ctypes.CDLL(None, use_errno=True)
    data = ctypes.create_string_buffer(136)
    if libc.proc_pidinfo(pid, 3, ctypes.c_uint64(0), data, 136) != 136:
        return ""
    status = struct.unpack_from("=I", data.raw, 4)[0]
    seconds, micros = struct.unpack_from("=QQ", data.raw, 120)
    return "" if status == 5 else f"{seconds}.{micros:06d}"  # 5: ended, waits to be reaped
