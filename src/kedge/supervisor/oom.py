"""Sees that the kernel kills a process for its cgroup's memory, in cgroups that a container runtime has made, of either version.

It must be seen while the container runs: its cgroup goes with it.
"""

import contextlib
import os


class Watch:
    """One cgroup.

    Attributes:
        fd: Becomes ready when something has happened.
        rare: Whether it becomes ready with an exceptional condition; otherwise it can be read.
        used_up: Whether a process was killed, as far as `look` has seen.
    """

    def __init__(self, events: int, fd: int, *, rare: bool) -> None:
        self._events = events
        self._told = 0
        self.fd, self.rare, self.used_up = fd, rare, False

    def look(self) -> None:
        """See whether a process was killed."""
        if not self.rare:
            with contextlib.suppress(OSError):  # nothing has happened
                self._told += os.eventfd_read(self.fd)
        with contextlib.suppress(OSError):  # the cgroup is gone
            rows = dict(line.split() for line in os.pread(self._events, 4096, 0).decode().splitlines())
            # Version 1 tells before it kills, and once more when the cgroup goes: then it cannot be read any more.
            if self._told or int(rows.get("oom_kill", 0)) > 0:
                self.used_up = True
        if self._told > 1:
            self.used_up = True


def watch(pid: int) -> Watch:
    """Watch the cgroup of a process.

    Args:
        pid: The process.

    Raises:
        OSError: It has none that counts memory, or has ended.
    """
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file]
    own = next((path for _, controllers, path in rows if "memory" in controllers.split(",")), None)
    if own is None:
        place = _mounted("cgroup2", "") + next(path for _, controllers, path in rows if not controllers)
        events = os.open(f"{place}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        return Watch(events, events, rare=True)
    place = _mounted("cgroup", "memory") + own
    events = os.open(f"{place}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    with open(f"{place}/cgroup.event_control", "w", encoding="ascii") as file:
        file.write(f"{told} {events}")
    return Watch(events, told, rare=False)


def _mounted(kind: str, option: str) -> str:
    """Where a hierarchy of cgroups is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        rows = [line.split() for line in file]
    for row in rows:
        mounted_as, options = row[row.index("-") + 1], row[-1].split(",")
        if mounted_as == kind and (not option or option in options):
            return row[4]
    raise OSError(0, f"no {kind} is mounted")
