"""A command at a terminal of its own, typed to by a test."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Mapping

PATIENCE = 60.0


class Terminal:
    """A command at a terminal of its own.

    Args:
        argv: The command.
        environ: Its environment.

    Attributes:
        seen: All that it has printed.
    """

    def __init__(self, argv: list[str], environ: Mapping[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execve(argv[0], argv, environ)  # noqa: S606  # no shell: that is the point
        self.resize(33, 99)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str, until: str) -> None:
        """Type, and wait for a text that was not there before."""
        begin = len(self.seen)
        os.write(self.fd, keys.encode())
        self.wait(until, begin)

    def wait(self, until: str, begin: int = 0) -> None:
        """Wait for a text."""
        deadline = time.monotonic() + PATIENCE
        while until not in self.seen[begin:]:
            assert time.monotonic() < deadline, self.seen
            self._read()

    def _read(self) -> bool:
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                self.seen += os.read(self.fd, 65536).decode()
            except OSError:
                return False
        return True

    def leave(self) -> None:
        """Close the window."""
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def ends(self) -> int:
        """Wait for its end; returns its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.seen
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
