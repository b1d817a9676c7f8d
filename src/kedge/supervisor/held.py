"""What processes hold of memory: what could not be read anew from files, pages that they share counted once.

It is what the kernel would count in a cgroup, and nothing is asked for here that only root may do.
"""

import contextlib
import os
from collections.abc import Iterable

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 1 << 20


def by_session() -> dict[int, dict[int, int]]:
    """Resident bytes of each process by its session: quick to find, and never too low."""
    found: dict[int, dict[int, int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
        except OSError:
            continue  # it has ended
        fields = text[text.rindex(b")") + 2 :].split()
        found.setdefault(int(fields[3]), {})[int(name)] = int(fields[21]) * _PAGE
    return found


def by_process(first: int) -> dict[int, int]:
    """Resident bytes of a process and of all that it has started, by their numbers."""
    found: dict[int, int] = {}
    due = [first]
    while due:
        pid = due.pop()
        with contextlib.suppress(OSError):  # it has ended
            with open(f"/proc/{pid}/statm", "rb") as file:
                found[pid] = int(file.read().split()[1]) * _PAGE
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    due += map(int, file.read().split())
    return found


def held(processes: Iterable[int]) -> int:
    """Bytes that processes hold and that could not be read anew from files; what they share is divided among them."""
    total = 0
    for pid in processes:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                rows = dict(line.split(b":", 1) for line in file.read().splitlines()[1:])
        except OSError:
            continue  # it has ended
        names = (b"Pss_Anon", b"Pss_Shmem") if b"Pss_Anon" in rows else (b"Pss",)  # kernels before 5.9 tell less
        total += sum(int(rows[name].split()[0]) << 10 for name in names)
    return total


def too_much(processes: dict[int, int], limit: int) -> str:
    """What a person is told where processes hold more than a limit; empty where they do not.

    Args:
        processes: Resident bytes of each, by its number.
        limit: Bytes.
    """
    if sum(processes.values()) <= limit or (used := held(processes)) <= limit:
        return ""
    return f"It used {used / _MIB:.0f} MiB of memory, more than the {limit / _MIB:.0f} MiB of resources.limits.memory."
