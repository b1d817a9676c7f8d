"""Puts a backup back.

Everything is unpacked beside what is there, checked, and opened once as a host would open it. Then one rename says that it holds
(`kedge.home.RESTORED`), and what follows only moves files to their places: a restore that is cut off before that rename has
changed nothing, and one that is cut off after it is finished by whatever takes the data directory next.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from kedge.backups.archive import Manifest, Told, read_manifest, unpack
from kedge.backups.databases import check
from kedge.backups.taking import DATABASES
from kedge.db.database import open_sqlite
from kedge.errors import KedgeError, StateError
from kedge.files import sync
from kedge.home import RESTORED, Home, inspect
from kedge.store.log import ObjectLog

MARGIN = 1_000_000_000
"""How far revisions jump at a restore. Clients may have seen any that was given out after the backup was taken; a hundred a
second for three months are fewer than this."""
_STAGE = ".restoring"
_EMPTIED = ("node",)  # what containers of another time have left: Pods that ran then are run again


def restore(home: Path, file: Path, version: str, *, force: bool, told: Told, rests: Callable[[Path], bool]) -> Manifest:
    """Put a backup into a data directory in which no host runs.

    Args:
        home: The data directory; made where there is none.
        file: The backup.
        version: Kedge's.
        force: Replace what is there.
        told: How far it has come.
        rests: Whether no steps run any more that belong to a data directory.

    Returns:
        What was in the backup.

    Raises:
        StateError: A host runs there, something is there already, or the backup cannot be used; nothing was changed.
    """
    manifest = read_manifest(file)
    held = Home.acquire(home, version)
    try:
        if not rests(home):
            raise StateError(f"{home}: steps of its last host still run. End them with `kedge down`, then restore.")
        there = [name for name in DATABASES if (home / name).exists()]
        if there and not force:
            raise StateError(
                f"{home}: is in use: {there[0]} is there. Restore into an empty directory (KEDGE_HOME), or replace what is there "
                "with --force."
            )
        stage = home / _STAGE
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        try:
            _fill(stage, file, manifest, told)
            _make_usable(stage, max(manifest.revision, _newest(home / "objects.db")) + MARGIN)
            for name in _EMPTIED:
                (stage / name).mkdir(mode=0o700)
            sync(stage)
            stage.rename(home / RESTORED)
            sync(home)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        held.finish_restore()
        return manifest
    finally:
        held.release()


def _fill(stage: Path, file: Path, manifest: Manifest, told: Told) -> None:
    try:
        unpack(file, manifest, stage, told)
    except OSError as error:
        raise StateError(f"{error.filename or stage}: cannot be written: {error.strerror}. Nothing was restored.") from error


def _make_usable(stage: Path, revision: int) -> None:
    """Open what was unpacked as a host will, so that what cannot be used is refused now."""
    try:
        inspect(stage)
        for name in DATABASES:
            if (stage / name).exists():
                with closing(sqlite3.connect(stage / name)) as database:
                    check(database, stage / name)
        if (stage / "objects.db").exists():
            with closing(ObjectLog(stage / "objects.db", synchronous="FULL")) as log:
                log.raise_revision(revision)
        if (stage / "history.db").exists():
            open_sqlite(stage / "history.db", synchronous="FULL").close()
    except KedgeError as error:
        raise StateError(f"the backup cannot be used, and nothing was restored: {str(error).replace(f'{stage}/', '')}") from error
    for name in DATABASES:
        for left in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                (stage / f"{name}{left}").unlink()


def _newest(objects: Path) -> int:
    """The newest revision of the objects that are about to be replaced; 0 where that cannot be read any more."""
    if not objects.exists():
        return 0
    try:
        with closing(sqlite3.connect(objects)) as database:
            row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'").fetchone()
            return int(row[0]) if row else 0
    except sqlite3.DatabaseError:
        return 0
