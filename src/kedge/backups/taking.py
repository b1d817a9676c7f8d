"""Takes a backup of a data directory, whether or not its host runs."""

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kedge.backups.archive import Manifest, Told, Writer, free_bytes, verify
from kedge.backups.databases import copy, snapshots
from kedge.errors import StateError
from kedge.files import sync
from kedge.home import inspect

DATABASES = ("objects.db", "history.db")
SMALL = ("version.json", "ports.json", "images.json", "cluster.json", "pki", "projects")
"""What else makes a data directory whole; all of it is small."""
_SPARE = 16 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a backup shall hold besides the databases and keys.

    Attributes:
        artifacts: The bytes of artifacts that lie in the data directory.
        claims: The folders that PersistentVolumeClaims are.
    """

    artifacts: bool = False
    claims: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Their names in the data directory."""
        return tuple(name for name, is_wanted in (("artifacts", self.artifacts), ("claims", self.claims)) if is_wanted)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a backup says of where it came from.

    Attributes:
        version: Kedge's.
        now: RFC 3339.
        history: ``file``, or what else keeps the history: that is not backed up here.
    """

    version: str
    now: str
    history: str = "file"


def take(home: Path, file: Path, wanted: Wanted, origin: Origin, told: Told) -> Manifest:
    """Back a data directory up.

    Both databases are copied as they were at one moment. Files come after them, so that what the databases tell of is there.

    Args:
        home: The data directory.
        file: The archive; made with mode 0600, and there only once it is whole, on the disk and read again.
        wanted: What else.
        origin: What it says of itself.
        told: How far it has come.

    Returns:
        What is in it.

    Raises:
        StateError: There is nothing to back up, it is damaged, or the archive is there already.
        OSError: The archive cannot be written.
    """
    inspect(home)
    elsewhere = () if origin.history == "file" else ("history.db",)
    databases = {name: home / name for name in DATABASES if name not in elsewhere and (home / name).exists()}
    if not databases:
        raise StateError(f"{home}: there is nothing to back up: no host has ever run there. Set KEDGE_HOME to where one has.")
    if file.exists():
        raise StateError(f"{file}: is there already, and no backup is overwritten. Name another file, or delete it first.")
    folder = Path(tempfile.mkdtemp(prefix=f".{file.name}.", dir=file.parent))
    try:
        rest = [(name, home / name) for name in (*SMALL, *wanted.names)]
        total = sum(_size(path) for path in databases.values()) + sum(_size(path) for _, path in rest)
        _need(folder, total + sum(_size(path) for path in databases.values()))
        manifest = Manifest(origin.version, origin.now, 0, origin.history)
        with snapshots(databases) as connections:
            for name, connection in connections.items():
                copy(connection, folder / name, told)
            if "objects.db" in connections:
                manifest.revision = _revision(connections["objects.db"])
        part = folder / "backup"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            writer = Writer(out, manifest, told, total)
            for name in databases:
                writer.add(folder / name, name)
            for name, path in rest:
                if path.exists():
                    writer.add(path, name)
            writer.finish()
            out.flush()
            os.fsync(out.fileno())
        verify(part, manifest, told)
        part.rename(file)
        sync(file.parent)
        return manifest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _revision(objects: sqlite3.Connection) -> int:
    row = objects.execute("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'").fetchone()
    return row[0] if row else 0


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    found = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                found += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  # of hundreds of thousands
            except FileNotFoundError:
                continue
    return found


def _need(folder: Path, size: int) -> None:
    free = free_bytes(folder)
    if free < size + _SPARE:
        raise StateError(
            f"{folder.parent}: the backup needs {size / (1 << 20):,.0f} MiB there for a while, and {free / (1 << 20):,.0f} MiB "
            "are free. Make room, or name a file on another disk."
        )
