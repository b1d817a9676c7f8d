"""Limits of memory without cgroups: what limited containers use is looked at several times a second; one with more is killed.

A container's memory is what its processes hold that could not be read anew from files, pages that they share counted once: what
the kernel would count in a cgroup. Nothing is asked for here that only root may do, and a container without a limit costs
nothing. Between two looks a process may use more than its limit, and one that leaves its container's session is not seen.
"""

import os
import signal
import sys
from collections.abc import Iterable

from kedge.supervisor.containers import Container
from kedge.supervisor.loop import Loop
from kedge.supervisor.protocol import Message

_LOOK_SECONDS = 0.1
_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """Watches the containers that have a limit.

    Args:
        loop: The supervisor's loop.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._limits: dict[str, tuple[Container, int]] = {}
        self._killed: dict[str, str] = {}
        self._looking = False

    def watch(self, container: Container, limit: int) -> None:
        """Kill a container once it uses more than ``limit`` bytes; does nothing where the system does not tell what it uses."""
        if not limit or not sys.platform.startswith("linux"):
            return
        self._limits[container.id] = (container, limit)
        self._look_later()

    def ended(self, container: Container, how: Message) -> Message:
        """How a container ended, in a record's words: for lack of memory, where that is why it was killed."""
        if self._limits.pop(container.id, None) is None:
            return how
        message = self._killed.pop(container.id, "")
        if not message or how["signal"] not in {0, signal.SIGKILL} or how["code"] == 0:
            return how
        return out_of_memory(message)

    def _look_later(self) -> None:
        if self._limits and not self._looking:
            self._looking = True
            self._loop.after(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = False
        sessions = _sessions()
        for container, limit in self._limits.values():
            processes = sessions.get(container.pid, {})
            if container.id in self._killed or sum(processes.values()) <= limit:
                continue
            used = _held(processes)
            if used > limit:
                self._killed[container.id] = (
                    f"It used {used / _MIB:.0f} MiB of memory, more than the {limit / _MIB:.0f} MiB of resources.limits.memory."
                )
                container.kill(signal.SIGKILL)
        self._look_later()


def out_of_memory(message: str) -> Message:
    """How a container ended that was killed for its use of memory, in a record's words."""
    return {"code": 137, "signal": int(signal.SIGKILL), "reason": "OOMKilled", "message": message}


def _sessions() -> dict[int, dict[int, int]]:
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


def _held(processes: Iterable[int]) -> int:
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
