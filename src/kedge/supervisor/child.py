"""The first steps of a container's process, the same whether it was forked from a warm interpreter or will execute a program.

Like `view.py`, this file also runs under the step's own Python: syntax and library of Python 3.8, nothing of Kedge imported.
"""

from __future__ import annotations

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

# What container runtimes exit with when a container could not be started at all.
START_ERROR = 128
# Operations of prctl.
_DUMPABLE, _NO_NEW_PRIVILEGES, _AMBIENT, _CLEAR_ALL = 4, 38, 47, 4
_CAPABILITY_VERSION = 0x20080522


class Descriptors:
    """What a container's process is handed by the supervisor.

    Attributes:
        out: Write end of its standard output.
        err: Write end of its standard error.
        gate: A socket: one byte comes in when the supervisor has recorded the process, a message goes out when it cannot start.
        view: Template namespaces (mount, user); the user namespace is -1 where root needs none.
        input: Read end of its standard input; -1 for none: it reads nothing then.
        network: The Pod's network namespace; -1 where it is the machine's.
        tty: Whether the three are ends of one terminal, which becomes its own.
    """

    __slots__ = ("err", "gate", "input", "network", "out", "tty", "view")

    def __init__(self, out: int, err: int, gate: int, view: tuple[int, int]) -> None:
        self.out = out
        self.err = err
        self.gate = gate
        self.view = view
        self.input = -1
        self.tty = False
        self.network = -1

    def close(self) -> None:
        """Close them, where the process has them by now; of a terminal they are one and the same."""
        for fd in {self.out, self.err, self.gate, self.input, self.network} - {-1}:
            os.close(fd)


def settle(spec: dict[str, Any], fds: Descriptors, enter: Callable[[tuple[int, int, int], dict[str, Any]], None]) -> None:
    """Turn this freshly forked process into the container's, all but its environment and its program.

    Args:
        spec: The container's spec.
        fds: What the supervisor handed over.
        enter: ``view.enter``, called where the spec wants a private view.

    Raises:
        OSError: Something the spec asks for is not possible.
        Exception: What ``enter`` raises.
    """
    os.setsid()
    if fds.tty:
        _own_terminal(fds.input)
    for number, fd in enumerate((_input(fds), _unbreakable(fds.out), _unbreakable(fds.err))):
        os.dup2(fd, number)
        os.close(fd)
    os.umask(0o022)
    if spec.get("cgroup"):
        _join(spec["cgroup"])
    if spec.get("private"):
        enter((*fds.view, fds.network), spec)
    _limit(spec.get("rlimits") or {})
    if spec.get("user"):
        _switch(spec["user"], (1, 2) if fds.input < 0 else (0, 1, 2))
    if spec.get("confined"):
        _prctl(_NO_NEW_PRIVILEGES, 1)
    os.umask(spec.get("umask", 0o022))
    cwd = spec.get("cwd") or "/"
    try:
        os.chdir(cwd)
    except OSError as error:
        raise OSError(error.errno, f"workingDir {cwd}: {error.strerror}") from error


def wait_for_go(fds: Descriptors) -> bool:
    """Wait until the supervisor has recorded this process; False when it died first, and the process must end too."""
    return os.read(fds.gate, 1) == b"g"


def refuse(fds: Descriptors, error: BaseException) -> NoReturn:
    """Tell the supervisor why the container cannot start, and end."""
    try:
        if wait_for_go(fds):
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            os.write(fds.gate, text.encode("utf-8", "replace")[:4000])
    finally:
        os._exit(START_ERROR)


def _own_terminal(fd: int) -> None:
    """Make a terminal the one of this session: what is typed there, such as Ctrl-C, reaches its processes as signals."""
    import fcntl  # noqa: PLC0415  # wanted only where there is a terminal
    import termios  # noqa: PLC0415

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def _input(fds: Descriptors) -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if fds.input < 0 else os.dup(fds.input)


def _unbreakable(fd: int) -> int:
    """Reopen a pipe for both directions, so that writing works while no supervisor reads: a new one finds the pipe in /proc."""
    if not sys.platform.startswith("linux") or os.isatty(fd):
        return os.dup(fd)
    return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)


def _limit(rlimits: dict[str, list[int | None]]) -> None:
    if not rlimits:
        return
    import resource  # noqa: PLC0415  # rarely wanted, and a warm interpreter imports as little as it can

    for name, pair in rlimits.items():
        soft, hard = (resource.RLIM_INFINITY if value is None else value for value in pair)
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (soft, hard))


def _join(cgroup: str) -> None:
    """Enter a cgroup, which the kernel then counts this process and its children in."""
    for path in cgroup.split(":"):  # several with version 1: one for each controller
        try:
            fd = os.open(path + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
        except OSError as error:
            raise OSError(error.errno, f"cgroup {path}: {error.strerror}") from error
        os.close(fd)


def _switch(user: dict[str, Any], streams: tuple[int, ...]) -> None:
    """Become another user, whose the streams are too; nothing that root may do is left, nor can any of it come back."""
    uid, gid = user["uid"], user["gid"]
    for fd in streams:
        os.fchown(fd, uid, gid)  # or opening /dev/stdout, which is this pipe by another name, would be refused
    os.setgroups(user["groups"])
    os.setgid(gid)
    if uid == os.getuid():
        return
    os.setuid(uid)
    if sys.platform.startswith("linux"):
        _drop_capabilities()
        _prctl(_DUMPABLE, 1)  # which a change of users takes away: without it, a process does not own its own /proc/self


def _drop_capabilities() -> None:
    """Drop what a change of users leaves: capabilities that the next program would inherit."""
    import ctypes  # noqa: PLC0415  # wanted only where a user is changed

    _prctl(_AMBIENT, _CLEAR_ALL)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"drop capabilities: {os.strerror(number)}")


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # noqa: PLC0415  # wanted only where a user is changed, or rights are cut

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def pass_fds(channel: socket.socket, message: bytes, fds: list[int]) -> None:
    """Send one message with file descriptors over a packet socket."""
    import array  # noqa: PLC0415  # not wanted where processes are only executed

    channel.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def take_fds(channel: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Receive one message with file descriptors; the message is empty when the other side is gone."""
    import array  # noqa: PLC0415  # not wanted where processes are only executed

    message, ancillary, _, _ = channel.recvmsg(size, socket.CMSG_LEN(most * array.array("i").itemsize))
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return message, list(fds)
