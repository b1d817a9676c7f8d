"""What people do with a container that runs: run another program beside its own, or follow its own streams.

Each has a connection of its own, over which whoever asked gets the ends of the streams themselves and reads and writes them
without the supervisor in between: a reader that is slow keeps its own program waiting and nobody else. The connection's end ends
the program. A container's own output goes to its log first, and nobody who follows it can hold it up: who falls too far behind
is told so and let go.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from kedge.supervisor import containers, oci, streams, view
from kedge.supervisor.containers import Container
from kedge.supervisor.loop import Loop
from kedge.supervisor.protocol import Message

# How often, and how long, a container that has just started is asked whether its process is in its view.
_SETTLE_SECONDS, _SETTLE_ATTEMPTS = 0.01, 3000
# Output that a viewer has not taken yet.
_MOST_BEHIND = 4 << 20
# Of a container's spec: what another program in it is started with.
INHERITED = ("env", "cwd", "umask", "rlimits", "private", "user", "confined", "cgroup", "network")


class Asker(Protocol):
    """The connection over which something was asked for.

    Attributes:
        on_end: Called when it has ended.
        on_input_end: Called when the other side writes no more input.
    """

    on_end: Callable[[], object] | None
    on_input_end: Callable[[], object]

    def send(self, message: Message) -> None:
        """Say something."""
        ...

    def hand(self, message: Message, fds: list[int]) -> None:
        """Say something, with open files that are the other side's from now on."""
        ...


@dataclass(slots=True)
class _Exec:
    container: Container
    asker: Asker
    gate: socket.socket | None


@dataclass(slots=True)
class _Viewer:
    """One output of a container on its way to somebody who follows it."""

    sock: socket.socket
    pending: bytearray = field(default_factory=bytearray)
    watching: bool = False


class Execs:
    """Everything that was asked for.

    Args:
        loop: The supervisor's loop.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._running: dict[int, _Exec] = {}

    def pids(self) -> Iterator[int]:
        """Pids of programs that run beside a container's own."""
        return iter(self._running)

    def start(self, container: Container | None, message: Message, asker: Asker, attempt: int = 0) -> None:
        """Run a program in a container: its streams are handed over, and its end is told.

        Args:
            container: The container; ``None`` when there is none of that id that runs.
            message: The request; see `protocol`.
            asker: Whose it is.
            attempt: How often its container was not far enough yet.
        """
        if container is None or container.exit or not container.pid:
            asker.send({"event": "refused", "message": "the container does not run"})
            return
        if container.spec.get("private") and not container.settled:
            if attempt < _SETTLE_ATTEMPTS:
                self._loop.after(_SETTLE_SECONDS, lambda: self.start(container, message, asker, attempt + 1))
            else:
                asker.send({"event": "refused", "message": "the container has not begun"})
            return
        try:
            self._start(container, message, asker)
        except (OSError, view.ViewError) as error:
            asker.send({"event": "refused", "message": str(error)})

    def _start(self, container: Container, message: Message, asker: Asker) -> None:
        raw = "oci" in container.spec
        wanted = streams.Wanted(bool(message.get("stdin")), bool(message.get("tty")), tuple(message.get("output") or ()), raw)
        namespaces = _namespaces(container.pid) if container.spec.get("private") else (-1, -1)
        try:
            ours, theirs = streams.create(wanted, namespaces)
            spec = {name: container.spec[name] for name in INHERITED if name in container.spec}
            if "oci" in container.spec:
                own: dict[str, str] = message.get("env", {})
                spec["argv"] = oci.command(container.spec, message["argv"], stdin=wanted.input, tty=wanted.tty, env=own)
                spec["followed"] = oci.tells_no_code(container.spec)
            else:
                spec |= {"argv": message["argv"], "env": {**message.get("env", {}), **spec.get("env", {})}}
            try:
                if "network" in spec:
                    theirs.network = os.open(f"/proc/{container.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                pid = containers.start(spec, theirs, view.join)
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
        finally:
            for fd in namespaces:
                if fd >= 0:
                    os.close(fd)
        gate, ours.gate = ours.gate, None
        self._running[pid] = _Exec(container, asker, gate)
        if gate:
            gate.send(b"g")
        asker.on_end = lambda: self._kill(pid)
        names = list(ours.ends)
        asker.hand({"event": "streams", "names": names, "pid": pid}, [ours.ends[name] for name in names])
        ours.ends.clear()

    def _kill(self, pid: int) -> None:
        if pid not in self._running:
            return
        for kill in (os.killpg, os.kill):  # between fork and setsid there is no group yet
            try:
                kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
            return

    def ended(self, pid: int, status: int) -> bool:
        """A child has ended; False when it was none of these."""
        one = self._running.pop(pid, None)
        if one is None:
            return False
        complaint = ""
        if one.gate:
            try:
                complaint = one.gate.recv(4096, socket.MSG_DONTWAIT).decode("utf-8", "replace")
            except OSError:
                complaint = ""
            one.gate.close()
        how = containers.exit_of(status, complaint)
        one.asker.send({"event": "exited", "code": how["code"], "reason": how["reason"], "message": how["message"]})
        return True

    def attach(self, container: Container | None, message: Message, asker: Asker) -> None:
        """Let somebody follow a container's output from now on, and write its input.

        Args:
            container: The container; ``None`` when there is none of that id that runs.
            message: The request; see `protocol`.
            asker: Whose it is.
        """
        if container is None or container.exit or not container.pid:
            asker.send({"event": "refused", "message": "the container does not run"})
            return
        _View(self._loop, container, message, asker).begin()

    def left(self, container: Container) -> None:
        """A container has ended: what runs beside it ends too."""
        for pid, one in self._running.items():
            if one.container is container:
                self._kill(pid)


class _View:
    """Somebody who is attached to a container."""

    def __init__(self, loop: Loop, container: Container, message: Message, asker: Asker) -> None:
        self._loop = loop
        self._container = container
        self._asker = asker
        self._wanted = message
        self._outputs: dict[str, _Viewer] = {}
        self._over = False

    def begin(self) -> None:
        """Hand over what is asked for, and listen."""
        container = self._container
        names: list[str] = []
        fds: list[int] = []
        if self._wanted.get("stdin") and container.input >= 0:
            names.append("stdin")
            fds.append(os.dup(container.input))
        for name in self._wanted.get("output") or ():
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            self._outputs[name] = _Viewer(ours)
            names.append(name)
            fds.append(theirs.detach())
        self._asker.on_end = self.end
        self._asker.on_input_end = self._input_ended
        container.viewers.append(self._take)
        self._asker.hand({"event": "streams", "names": names, "pid": container.pid}, fds)

    def _take(self, name: str, data: bytes) -> None:
        """The container has printed something; without any, it has ended."""
        if not name:
            self._ended()
            return
        viewer = self._outputs.get(name)
        if viewer is None:
            return
        viewer.pending += data
        if len(viewer.pending) > _MOST_BEHIND:
            self._asker.send({"event": "exited", "code": None, "reason": "Behind", "message": _behind()})
            self.end()
            return
        if not viewer.watching:
            self._flush(viewer)

    def _flush(self, viewer: _Viewer) -> None:
        try:
            while viewer.pending:
                del viewer.pending[: viewer.sock.send(viewer.pending)]
        except BlockingIOError:
            if not viewer.watching:
                viewer.watching = True
                # Nothing comes from there, and its end is heard of from its connection.
                self._loop.watch(viewer.sock.fileno(), lambda: self._hear(viewer), write=lambda: self._flush(viewer))
            return
        except OSError:
            viewer.pending.clear()
        if viewer.watching:
            viewer.watching = False
            self._loop.forget(viewer.sock.fileno())
        if self._over:
            viewer.sock.close()

    def _hear(self, viewer: _Viewer) -> None:
        try:
            if viewer.sock.recv(1):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        viewer.pending.clear()
        self._flush(viewer)

    def _ended(self) -> None:
        code = (self._container.exit or {}).get("code")
        self._asker.send({"event": "exited", "code": code, "reason": "Ended", "message": ""})
        self._over = True
        for viewer in self._outputs.values():
            if not viewer.watching:
                viewer.sock.close()

    def _input_ended(self) -> None:
        if self._wanted.get("stdin") and self._container.spec.get("stdin") == "once":
            self._container.end_input()

    def end(self) -> None:
        """Nobody follows any more."""
        if self._take in self._container.viewers:
            self._container.viewers.remove(self._take)
        self._input_ended()
        for viewer in self._outputs.values():
            if viewer.watching:
                self._loop.forget(viewer.sock.fileno())
            viewer.sock.close()
        self._outputs.clear()


def _behind() -> str:
    return f"what the container prints was not read fast enough: more than {_MOST_BEHIND >> 20} MiB waited. Its log has it"


def _namespaces(pid: int) -> tuple[int, int]:
    """The mount and user namespaces of a process, held open; -1 for the second where it has the supervisor's own."""
    if not sys.platform.startswith("linux"):
        return -1, -1
    mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        users = f"/proc/{pid}/ns/user"
        if os.stat(users).st_ino == os.stat("/proc/self/ns/user").st_ino:
            return mounts, -1
        return mounts, os.open(users, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        os.close(mounts)
        raise
