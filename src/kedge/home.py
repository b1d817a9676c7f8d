"""The data directory: one process at a time, never an older version than wrote it, its ports, and what it tells clients.

`Home.acquire` is the only way in for a process that serves. The lock is the kernel's (`flock`), so it ends with the process,
however that ends; no stale lock file can keep anybody out.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kedge.errors import StateError

# Raised when an older Kedge could not use the directory any more (a new layout; the databases have versions of their own).
FORMAT = 1


@dataclass(slots=True)
class Home:
    """A data directory that this process holds.

    Attributes:
        path: The directory, absolute, mode 0700.
    """

    path: Path
    _lock: IO[str]

    @classmethod
    def acquire(cls, path: Path, version: str) -> "Home":
        """Take the directory for this process, making it where it is missing.

        Args:
            path: The directory.
            version: Kedge's version, written down for the error that an older one then gives.

        Raises:
            StateError: It is not a directory that we may write to, another live process has it, or a newer version wrote it.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            lock = (path / "lock").open("a+")
        except OSError as error:
            raise StateError(
                f"{path}: cannot be used as data directory: {error.strerror}. Set KEDGE_HOME to one that you may write to."
            ) from error
        try:
            _lock_or_refuse(path, lock)
            _refuse_newer(path)
            _write(path / "version.json", json.dumps({"format": FORMAT, "version": version}))
        except BaseException:
            lock.close()
            raise
        return cls(path, lock)

    def ports(self) -> tuple[int, int]:
        """The (http, https) ports this directory was first given; 0 for one that was never chosen."""
        known = _read(self.path / "ports.json")
        return int(known.get("http", 0)), int(known.get("https", 0))

    def remember_ports(self, http: int, https: int) -> None:
        """Keep the ports for later starts: steps that outlive this process look for it there."""
        if self.ports() != (http, https):
            _write(self.path / "ports.json", json.dumps({"http": http, "https": https}))

    def announce(self, host: Mapping[str, Any]) -> None:
        """Write ``host.json``, by which clients find this process; mode 0600, because it holds the token."""
        _write(self.path / "host.json", json.dumps(host, indent=1))

    def release(self) -> None:
        """Let another process have the directory; takes ``host.json`` away first."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "host.json").unlink()
        self._lock.close()


def _lock_or_refuse(path: Path, lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        raise StateError(
            f"{path}: another host uses this data directory (process {holder}). Use that one (`kedge status`), stop it with "
            "`kedge down`, or set KEDGE_HOME to another directory."
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def _refuse_newer(path: Path) -> None:
    known = _read(path / "version.json")
    if int(known.get("format", 0)) > FORMAT:
        raise StateError(
            f"{path}: was written by Kedge {known.get('version', 'of a newer version')}, which is newer than this one. "
            "Install that version or a later one, or set KEDGE_HOME to another directory."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        return dict(content)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise StateError(f"{path}: cannot be read ({error}). Move the file away and start again.") from error


def _write(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner alone."""
    aside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        aside.replace(path)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written: {error.strerror}. Make room on its disk or check its permissions, then start again."
        ) from error
