"""The pipes or the terminal between a process that is to be started and whoever writes its input and reads its output."""

import contextlib
import os
import socket
import tty
from dataclasses import dataclass, field

from kedge.supervisor import child


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams a process is to have.

    Attributes:
        input: Whether somebody writes its standard input; otherwise it is empty.
        tty: Whether the three are a terminal.
        output: Which of its outputs are read; what it writes to the others goes nowhere.
        raw: Whether the terminal passes all on as it is: there is another one behind it, a container's own.
    """

    input: bool = False
    tty: bool = False
    output: tuple[str, ...] = ("stdout", "stderr")
    raw: bool = False


@dataclass(slots=True)
class Ours:
    """The supervisor's ends.

    Attributes:
        ends: ``stdin`` to write, ``stdout`` and ``stderr`` to read; of a terminal, ``stdout`` and ``stdin`` are two numbers of
            one and the same.
        gate: See `child.Descriptors`.
    """

    ends: dict[str, int] = field(default_factory=dict[str, int])
    gate: socket.socket | None = None

    def close(self) -> None:
        """Close all of them."""
        for fd in self.ends.values():
            os.close(fd)
        self.ends.clear()
        if self.gate:
            self.gate.close()
            self.gate = None


def create(wanted: Wanted, namespaces: tuple[int, int]) -> tuple[Ours, child.Descriptors]:
    """Make what a process is given, and our ends of it, which never wait.

    Args:
        wanted: Which streams.
        namespaces: See `child.Descriptors`.

    Raises:
        OSError: No more files may be open.
    """
    ours = Ours()
    with contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        theirs = _terminal(ours, undo, raw=wanted.raw) if wanted.tty else _pipes(ours, undo, wanted)
        ours.gate, gate = socket.socketpair()
        undo.pop_all()
    for fd in ours.ends.values():
        os.set_blocking(fd, False)
    given = child.Descriptors(theirs["stdout"], theirs["stderr"], gate.detach(), namespaces)
    given.input, given.tty = theirs.get("stdin", -1), wanted.tty
    return ours, given


def _terminal(ours: Ours, undo: contextlib.ExitStack, *, raw: bool) -> dict[str, int]:
    master, slave = os.openpty()
    ours.ends["stdout"] = master
    undo.callback(os.close, slave)
    if raw:
        tty.setraw(slave)
    ours.ends["stdin"] = os.dup(master)
    return {"stdin": slave, "stdout": slave, "stderr": slave}


def _pipes(ours: Ours, undo: contextlib.ExitStack, wanted: Wanted) -> dict[str, int]:
    theirs: dict[str, int] = {}
    for name in (*(("stdin",) if wanted.input else ()), "stdout", "stderr"):
        if name != "stdin" and name not in wanted.output:
            theirs[name] = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            undo.callback(os.close, theirs[name])
            continue
        read, write = os.pipe()
        ours.ends[name], theirs[name] = (write, read) if name == "stdin" else (read, write)
        undo.callback(os.close, theirs[name])
    return theirs
