"""Limits of memory without cgroups: what limited containers use is looked at several times a second; one with more is killed.

A container's memory is what its processes hold that could not be read anew from files, pages that they share counted once: what
the kernel would count in a cgroup. Nothing is asked for here that only root may do, and a container without a limit costs
nothing. Between two looks a process may use more than its limit, and one that leaves its container's session is not seen.
"""

import signal
import sys

from kedge.supervisor.containers import Container
from kedge.supervisor.held import by_session, too_much
from kedge.supervisor.loop import Loop
from kedge.supervisor.protocol import Message

_LOOK_SECONDS = 0.1


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
        sessions = by_session()
        for container, limit in self._limits.values():
            if container.id not in self._killed and (why := too_much(sessions.get(container.pid, {}), limit)):
                self._killed[container.id] = why
                container.kill(signal.SIGKILL)
        self._look_later()


def out_of_memory(message: str) -> Message:
    """How a container ended that was killed for its use of memory, in a record's words."""
    return {"code": 137, "signal": int(signal.SIGKILL), "reason": "OOMKilled", "message": message}
