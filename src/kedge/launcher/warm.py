"""A warm interpreter: has imported the launcher and nothing else, and forks a step for each request.

It runs under the step environment's own Python (3.8 or newer) and is started by the supervisor as
``python -I warm.py FD LAUNCHER SUPERVISOR``: the socket to the supervisor, the directory of the expanded launcher, and the
directory of the supervisor's own modules, two of which a forked process needs before it is a step.

One thread, so that a fork copies everything there is. A request is one packet: the container's spec with its descriptors. The
answer is ``forked PID 0`` or ``refused 0 0``, and later ``exited PID STATUS``. When the supervisor is gone it goes too; its steps
run on.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]  # it has no stubs
import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import select
import signal
import socket
import sys

_LARGEST_PACKET = 1 << 20
# What stands in the request of a step that asks the hub for its files; most steps never speak to it.
_SPEAKS = rb"begin\":true"  # JSON within JSON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Warm:
    """The interpreter between its forks.

    Args:
        channel: A packet socket to the supervisor.
        parts: The supervisor's modules ``child`` and ``view``, and ``ending`` beside this one.
        main: The launcher's entry.
        rehearse: Does what a step does, for nothing.
        argv: What a step finds in ``sys.argv``.
    """

    def __init__(
        self,
        channel: socket.socket,
        parts: tuple[Any, Any, Any],
        main: Callable[[list[str]], int],
        rehearse: Callable[[], None],
        argv: list[str],
    ) -> None:
        self._channel = channel
        self._child, self._view, self._ending = parts
        self._main = main
        self._rehearse = rehearse
        self._argv = argv
        self._woken, self._wake = socket.socketpair()
        self._spare: tuple[int, socket.socket] | None = None

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        self._spare = self._fork()
        while True:
            for fd, _ in poller.poll():
                if fd == self._woken.fileno():
                    self._reap()
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        """Let one step go; False when the supervisor is gone."""
        packet, fds = self._child.take_fds(self._channel, _LARGEST_PACKET, 8)
        if not packet:
            return False
        pid = self._hand_over(packet, fds)
        for fd in fds:
            os.close(fd)
        self._channel.send(b"refused 0 0" if pid < 0 else b"forked %d 0" % pid)
        if _SPEAKS in packet:
            importlib.import_module("http.client")  # 15 ms, and the next step is likely to speak to the hub as this one does
        self._spare = self._fork()
        return True

    def _hand_over(self, packet: bytes, fds: list[int]) -> int:
        """Give a request to the process that waits for one, or to a new one; returns its pid, or -1."""
        for _ in range(2):
            spare, self._spare = self._spare or self._fork(), None
            if spare is None:
                return -1
            pid, channel = spare
            try:
                self._child.pass_fds(channel, packet, fds)
            except OSError:
                continue  # somebody has killed it while it waited
            finally:
                channel.close()
            return pid
        return -1

    def _fork(self) -> tuple[int, socket.socket] | None:
        """Fork a process that waits for a request: the next step need not wait for the fork."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_PACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            return None
        if pid == 0:
            ours.close()
            self._ending.end(lambda: self._be_step(theirs))  # whatever comes of it, it does not come back here
        theirs.close()
        return pid, ours

    def _reap(self) -> None:
        try:
            self._woken.recv(4096)
        except BlockingIOError:
            return
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            # What is left of its group goes while the number is still its own, which it is until it is reaped.
            with contextlib.suppress(OSError):
                os.killpg(ended.si_pid, signal.SIGKILL)
            pid, status, used = os.wait4(ended.si_pid, 0)
            # A packet of its own, before the other: a supervisor of an older version passes it over.
            self._channel.send(b"used %d %d/%d" % (pid, (used.ru_utime + used.ru_stime) * 1e6, used.ru_maxrss))
            self._channel.send(b"exited %d %d" % (pid, status))

    def _be_step(self, requests: socket.socket) -> int:
        """Wait for a request and do it; returns the exit code."""
        # The functions beneath `signal`'s: its enumerations touch a hundred pages, and each costs a copy in a forked process.
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        for end in (self._channel, self._woken, self._wake):
            end.close()
        with contextlib.suppress(Exception):  # whatever is wrong, the step will say it
            self._rehearse()
        packet, fds = self._child.take_fds(requests, _LARGEST_PACKET, 8)
        requests.close()
        return self._step(packet, fds) if packet else 0

    def _step(self, packet: bytes, fds: list[int]) -> int:
        spec = json.loads(packet.decode("utf-8"))
        views = fds[3:-1] if spec.get("network") else fds[3:]
        views = (views[0] if views else -1, views[1] if len(views) > 1 else -1)
        given = self._child.Descriptors(fds[0], fds[1], fds[2], views)
        given.network = fds[-1] if spec.get("network") else -1
        try:
            self._child.settle(spec, given, self._view.enter)
        except BaseException as error:  # noqa: BLE001  # the supervisor is told, whatever it is
            self._child.refuse(given, error)
        for fd in fds[:2] + fds[3:]:
            os.close(fd)
        os.environ.clear()  # the step's environment replaces the interpreter's wholly
        os.environ.update(spec["env"])
        sys.argv = [*self._argv[:1], *spec.get("arguments", self._argv[1:])]
        if not self._child.wait_for_go(given):
            return self._child.START_ERROR
        os.close(given.gate)
        return self._main(sys.argv[1:]) or 0


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the signal has woken the loop, which is all that is wanted of it."""


def _nothing() -> None:
    """Do nothing."""


def _load(directory: str, name: str) -> Any:
    """Load a module by its file, under a name that no user's module has."""
    private = "_kedge_supervisor_" + name
    loader = importlib.machinery.SourceFileLoader(private, os.path.join(directory, name + ".py"))
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(private, loader))
    loader.exec_module(module)
    return module


def serve(fd: int, launcher: str, supervisor: str) -> None:
    """Run until the supervisor is gone.

    Args:
        fd: The socket to the supervisor.
        launcher: Directory of the expanded launcher.
        supervisor: Directory of the supervisor's modules.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    parts = _load(supervisor, "child"), _load(supervisor, "view"), _load(here, "ending")
    sys.path[0:0] = [launcher]
    from kedge.launcher.__main__ import main  # the launcher's own, found only now

    with contextlib.suppress(ImportError):
        importlib.import_module("kfp.dsl")  # the launcher's own; the source of every Python step imports it
    rehearse: Callable[[], None] = _nothing  # a launcher of another version may have no rehearsal
    with contextlib.suppress(ImportError):
        rehearse = importlib.import_module("kedge.launcher.rehearsal").rehearse
    os.set_inheritable(fd, False)
    warm = Warm(socket.socket(fileno=fd), parts, main, rehearse, [os.path.join(launcher, "__main__.py"), "run"])
    gc.collect()
    gc.freeze()  # what is here already is never looked at again by the collector, so its pages stay shared
    warm.run()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], sys.argv[3])
