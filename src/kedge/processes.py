"""What processes of this machine use, as far as the system tells: of Linux from ``/proc``, elsewhere of this process alone."""

import os
import resource
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int | None = None) -> float | None:
    """Processor time that a process has used, in seconds; ``None`` where that cannot be known.

    Args:
        pid: Which; this one when left out.
    """
    if pid is None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime
    with suppress(OSError, ValueError, IndexError):
        # The name, in parentheses, may hold anything; after it, user and system time are the twelfth and thirteenth.
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return None


def memory(pid: int | None = None, *, mapped: bool = False) -> int | None:
    """Bytes of memory that a process has; ``None`` where that cannot be known.

    Args:
        pid: Which; this one when left out.
        mapped: Those that are mapped, in place of those that are in use.
    """
    with suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()
        return int(told[0 if mapped else 1]) * resource.getpagesize()
    return None
