"""Warm interpreters, seen from the supervisor: started when first asked for, fed with requests, let go when idle.

Each is a process of `kedge/launcher/warm.py` under a step environment's own Python. Requests wait in its socket while it
starts, so even the first step need not. A bounded number is kept; the one unused for longest goes first.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

from kedge.supervisor import child
from kedge.supervisor.containers import Container
from kedge.supervisor.loop import Loop
from kedge.supervisor.protocol import Message

_MOST = 4
_IDLE_SECONDS = 300.0
# A packet may not be larger than the socket's buffer; a spec that is takes the other way.
_LARGEST_PACKET = 120_000
_HERE = os.path.dirname(os.path.abspath(__file__))
_PROGRAM = os.path.join(os.path.dirname(_HERE), "launcher", "warm.py")

Told = Callable[[Message], None]
# Interpreter, launcher, and the user that its steps become: what an interpreter still holds in memory of one step, such as its
# variables, must not come into the hands of another user's.
_Key = tuple[str, str, int | None]


class Zygote:
    """One warm interpreter."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.channel = channel
        self.pid = pid
        self.waiting: list[Container] = []  # asked for, not yet forked; in order
        self.running: dict[int, Container] = {}
        self.used_at = time.monotonic()

    @property
    def idle(self) -> bool:
        """Whether none of its steps is wanted or runs."""
        return not self.waiting and not self.running


class Zygotes:
    """All warm interpreters.

    Args:
        loop: The supervisor's loop.
        on_fork: Called with a container whose process has just been forked; ``pid`` is set.
        on_exit: Called with a container and its wait status.
        on_refusal: Called with a container whose interpreter died before it was forked.
        on_orphan: Called with a container whose interpreter died before the container ended.
        on_count: Called with the number of interpreters when it has changed.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        on_fork: Callable[[Container], None],
        on_exit: Callable[[Container, int], None],
        on_refusal: Callable[[Container], None],
        on_orphan: Callable[[Container], None],
        on_count: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._on_fork = on_fork
        self._on_exit = on_exit
        self._on_refusal = on_refusal
        self._on_orphan = on_orphan
        self._on_count = on_count
        self._kept: dict[_Key, Zygote] = {}
        self._checking = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._kept)

    def pids(self) -> Iterator[int]:
        """Pids of the interpreters themselves."""
        return (zygote.pid for zygote in self._kept.values())

    def warm(self, python: str, launcher: str, *, user: int | None = None) -> Zygote:
        """Start an interpreter, if it is not there."""
        key = (python, launcher, user)
        zygote = self._kept.get(key)
        if zygote is None:
            self._make_room()
            zygote = self._start(python, launcher)
            self._kept[key] = zygote
            self._on_count(len(self._kept))
            self._loop.watch(zygote.channel.fileno(), lambda: self._hear(key, zygote))
        zygote.used_at = time.monotonic()
        self._check_later()
        return zygote

    def fork(self, container: Container) -> bool:
        """Have a container forked; False when it must be started otherwise."""
        if not sys.platform.startswith("linux") or container.fds is None:
            return False
        fds = container.fds
        handed = [fds.out, fds.err, fds.gate, *(fd for fd in (*fds.view, fds.network) if fd >= 0)]
        spec = {key: value for key, value in container.spec.items() if key not in {"log", "warm"}}
        packet = json.dumps(spec, separators=(",", ":")).encode()
        if len(packet) > _LARGEST_PACKET:
            return False
        warm = container.spec["warm"]
        zygote = self.warm(warm["python"], warm["launcher"], user=(spec.get("user") or {}).get("uid"))
        try:
            child.pass_fds(zygote.channel, packet, handed)
        except OSError:
            return False  # it has died, which is heard of elsewhere, or it has too much to do
        zygote.waiting.append(container)
        return True

    def cool(self) -> None:
        """Let go of every interpreter that has no step running."""
        for key, zygote in list(self._kept.items()):
            if zygote.idle:
                self._drop(key)

    def _start(self, python: str, launcher: str) -> Zygote:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        argv = [python, "-I", _PROGRAM, str(theirs.fileno()), launcher, _HERE]
        env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        os.set_inheritable(theirs.fileno(), True)
        try:
            # Steps inherit what it ignores, and they must not ignore what the supervisor does.
            pid = os.posix_spawn(python, argv, env, setsid=True, setsigdef=[signal.SIGHUP])
        except OSError:
            # The interpreter is not there: end the conversation, so that whoever waits is refused.
            theirs.close()
            return Zygote(ours, 0)
        theirs.close()
        return Zygote(ours, pid)

    def _hear(self, key: _Key, zygote: Zygote) -> None:
        try:
            packet = zygote.channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._drop(key)
            return
        what, first, second = packet.split(b" ")
        if what == b"forked":
            container = zygote.waiting.pop(0)
            container.pid = int(first)
            zygote.running[container.pid] = container
            self._on_fork(container)
        elif what == b"refused":
            self._on_refusal(zygote.waiting.pop(0))
        elif what == b"used":
            container = zygote.running.get(int(first))
            if container:
                micros, kilobytes = second.split(b"/")
                container.used = (int(micros) / 1e6, int(kilobytes) << 10)
        elif what == b"exited":
            container = zygote.running.pop(int(first), None)
            zygote.used_at = time.monotonic()
            if container:
                self._on_exit(container, int(second))

    def _drop(self, key: _Key) -> None:
        """Let go; the steps that run go on, and are reaped by the supervisor as their parent by adoption."""
        zygote = self._kept.pop(key, None)
        if zygote is None:
            return
        self._on_count(len(self._kept))
        self._loop.forget(zygote.channel.fileno())
        zygote.channel.close()
        for container in zygote.waiting:
            self._on_refusal(container)
        for container in zygote.running.values():
            self._on_orphan(container)

    def _make_room(self) -> None:
        by_age = sorted((zygote.used_at, key) for key, zygote in self._kept.items() if zygote.idle)
        while len(self._kept) >= _MOST and by_age:
            self._drop(by_age.pop(0)[1])

    def _check_later(self) -> None:
        if not self._checking:
            self._checking = True
            self._loop.after(_IDLE_SECONDS, self._check)

    def _check(self) -> None:
        self._checking = False
        now = time.monotonic()
        for key, zygote in list(self._kept.items()):
            if zygote.idle and now - zygote.used_at >= _IDLE_SECONDS - 1:
                self._drop(key)
        if self._kept:
            self._check_later()
