"""What this machine has: its processors and memory, or what a cgroup leaves of them."""

import math
import os
from pathlib import Path

from kedge.node.admission import Size

_ROOT = Path("/sys/fs/cgroup")


def of_machine(
    root: Path = _ROOT, processors: int | None = None, memory: int | None = None, other: tuple[tuple[str, float], ...] = ()
) -> Size:
    """Processors that this process may use, and memory that it may use.

    Args:
        root: Where cgroups are mounted.
        processors: Instead of what the system says.
        memory: Likewise, in bytes.
        other: Resources besides, which are handed out one by one.
    """
    cpu = float(processors or _processors())
    total = memory or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for directory in _cgroups(root):
        quota = _cpu_limit(directory)
        if quota:
            cpu = min(cpu, quota)
        limit = _first_number(directory / "memory.max") or _first_number(directory / "memory.limit_in_bytes")
        if limit:
            total = min(total, limit)
    return Size(cpu, total, other)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroups(root: Path) -> list[Path]:
    """The cgroup directories of this process, from the root downwards: each can only be narrower than the one above."""
    found = [root, root / "cpu", root / "memory"]
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base = root if not controllers else root / controllers.split(",")[0]
        parts = [part for part in path.split("/") if part]
        found += [base.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    return found


def _cpu_limit(directory: Path) -> float | None:
    try:
        quota, period = (directory / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    quota_us, period_us = _first_number(directory / "cpu.cfs_quota_us"), _first_number(directory / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us else None


def _first_number(path: Path) -> int | None:
    try:
        value = int(path.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    # cgroup v1 writes "no limit" as a number close to 2**63, or -1.
    return value if 0 < value < math.pow(2, 60) else None
