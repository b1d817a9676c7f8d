"""Connects to the unix sockets of a node's directory, whose path may be longer than a socket's address can be."""

import os
import socket
import sys
import tempfile
from pathlib import Path

# The socket's address may have 104 bytes (macOS) to 108 (Linux), its end included.
_LONGEST_PATH = 100


def connect(sock: socket.socket, directory: Path, name: str) -> None:
    """Connect to a socket of a directory; raises `OSError`."""
    path = str(directory / name)
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        sock.connect(path)
        return
    if sys.platform == "linux":
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{fd}/{name}")
        finally:
            os.close(fd)
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # the one place with a path that is surely short
        link = Path(short) / "d"
        link.symlink_to(directory)
        sock.connect(str(link / name))
