"""The data directory: one process at a time, never an older version than wrote it, its ports, and what it tells clients.

`Home.acquire` is the only way in for a process that serves. The lock is the kernel's (`flock`), so it ends with the process,
however that ends; no stale lock file can keep anybody out.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kedge.errors import StateError
from kedge.files import write_private

# Raised when an older Kedge could not use the directory any more (a new layout; the databases have versions of their own).
FORMAT = 1
RESTORED = "restored"
"""The folder in a data directory that a restore has made whole, and whose content is on its way to its places."""


def build() -> str:
    """Which code of Kedge this process runs, by content: of one version number there may be many."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Host:
    """A running host.

    Attributes:
        http: Address of the REST API and of the pages, such as ``http://127.0.0.1:41234``.
        https: Address of the Kubernetes API.
        token: Bearer token for both.
        kubeconfig: Path of a kubeconfig for `https`.
        data_dir: The data directory.
        pid: The hub's process.
        version: Kedge's version in that process.
        started_at: RFC 3339.
        build: Which code it runs, see `build`; empty where it did not say.
        outside: Address of the Kubernetes API for other machines; empty where none is served.
    """

    http: str
    https: str
    token: str
    kubeconfig: str
    data_dir: str
    pid: int
    version: str
    started_at: str
    build: str = ""
    outside: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields as ``host.json`` and ``kedge status --output json`` have them."""
        return {
            "http": self.http,
            "https": self.https,
            "token": self.token,
            "kubeconfig": self.kubeconfig,
            "dataDir": self.data_dir,
            "pid": self.pid,
            "version": self.version,
            "startedAt": self.started_at,
            "build": self.build,
            **({"outside": self.outside} if self.outside else {}),
        }


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
            _finish_restore(path)
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

    def announce(self, host: Host) -> None:
        """Write ``host.json``, by which clients find this process, with its `build`; mode 0600, because it holds the token."""
        _write(self.path / "host.json", json.dumps({**host.as_json(), "build": build()}, indent=1))

    def finish_restore(self) -> None:
        """Move what a restore has made whole to its places, in place of what is there."""
        _finish_restore(self.path)

    def release(self) -> None:
        """Let another process have the directory; takes ``host.json`` away first."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "host.json").unlink()
        self._lock.close()


def inspect(path: Path) -> None:
    """Look at what a data directory says of itself, without taking it.

    Raises:
        StateError: No host can start there: a newer version wrote it, or one of its files cannot be read.
    """
    _refuse_newer(path)
    _read(path / "ports.json")


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


def _finish_restore(path: Path) -> None:
    """Cut off at any point, it goes on here the next time: what is still in the folder has not been moved yet."""
    restored = path / RESTORED
    if not restored.is_dir():
        return
    try:
        for each in sorted(restored.iterdir()):
            for old in (path / f"{each.name}-wal", path / f"{each.name}-shm", path / each.name):
                if old.is_dir() and not old.is_symlink():
                    shutil.rmtree(old)
                else:
                    old.unlink(missing_ok=True)
            each.rename(path / each.name)
        restored.rmdir()
    except OSError as error:
        raise StateError(
            f"{error.filename or restored}: a restore could not be finished: {error.strerror}. Mend that and try again: what is "
            f"left of it waits in {restored}."
        ) from error


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
    try:
        write_private(path, text)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written: {error.strerror}. Make room on its disk or check its permissions, then start again."
        ) from error
