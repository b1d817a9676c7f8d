"""SQLite: how a file is opened, what a transaction begins with, and what its errors mean."""

import contextlib
import sqlite3
from collections.abc import Callable, Generator
from pathlib import Path

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from kedge import soundness
from kedge.errors import StateError, Unavailable

# How long a write waits for another program (a backup) that holds the file, in seconds. It blocks the hub, so it is short:
# what could not be written is tried again.
_BUSY_TIMEOUT = 2.0

_FULL = {"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE", "SQLITE_CANTOPEN"}
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY", "SQLITE_PROTOCOL"}
_CORRUPT = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX", "SQLITE_IOERR_SHORT_READ"}
_UNREADABLE = "Could not decode to UTF-8"  # what Python says of a text that is none, without a code of SQLite's


class SqliteFile:
    """A database that is a file; see `kedge.db.database.open_sqlite`."""

    dialect = "sqlite"

    def __init__(self, path: Path, synchronous: str) -> None:
        self.place = str(path)
        self._is_large = False
        with contextlib.suppress(OSError):  # what is wrong with the place is said when the file is opened
            path.touch(mode=0o600)  # its owner's alone, and with it the files that SQLite lays beside it
        self.engine = sqlalchemy.create_engine(
            sqlalchemy.URL.create("sqlite", database=str(path)),
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT, "isolation_level": None},
        )

        @event.listens_for(self.engine, "connect")
        def settle(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]  # the event calls it
            cursor = connection.cursor()
            for pragma in (
                "journal_mode = WAL",
                f"synchronous = {synchronous}",
                "foreign_keys = ON",
                "temp_store = MEMORY",
                "cache_size = -4000",  # KiB
                "journal_size_limit = 16777216",  # the WAL's file shrinks again after a burst
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    def size(self, connection: Connection) -> int:
        """Of the file and its journal."""
        del connection
        return size(Path(self.place))

    def begin(self, connection: Connection) -> None:
        """Wait for the lock here, where nothing has been read yet."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_schema(self, connection: Connection) -> None:
        """Tables and stamp together or not at all; the driver would otherwise commit each."""
        self.begin(connection)

    @contextlib.contextmanager
    def at_once(self, connection: Connection) -> Generator[None]:
        """Nothing travels: a statement is done when it was given."""
        self.begin(connection)
        yield

    def check(self, connection: Connection) -> None:
        """Look for damage that runs would meet page by page otherwise; in a large file, while it is used."""
        size = connection.exec_driver_sql("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").scalar()
        self._is_large = (size or 0) > soundness.SMALL
        if not self._is_large and (found := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
            raise self._damaged(" ".join(str(found).split()))

    async def look_through(self) -> StateError | None:
        """Look for damage in a large file while others use it."""
        found = await soundness.damage_meanwhile(Path(self.place)) if self._is_large else ""
        return self._damaged(found) if found else None

    def meaning(self, error: DBAPIError) -> Exception:
        """What one of its errors means."""
        cause = error.orig
        name = getattr(cause, "sqlite_errorname", "")
        if name in _CORRUPT or (not name and _UNREADABLE in str(cause)):
            return self._damaged(str(cause))
        if name in _BUSY:
            return Unavailable(f"{self.place}: another program holds the database ({cause}). Wait for it to end, or stop it.")
        if name == "SQLITE_FULL":
            return Unavailable(
                f"{self.place}: the disk is full. Free some space there; nothing was lost, and it can go on at once."
            )
        if name in _FULL:
            return Unavailable(f"{self.place}: cannot be written ({cause}). Make space on its disk; what waits then goes on.")
        if name == "SQLITE_READONLY" or error.connection_invalidated:
            return Unavailable(f"{self.place}: cannot be written ({cause}). Check its permissions and its disk.")
        return error

    def on_ready(self, call: Callable[[], None]) -> None:
        """A file does not go away."""

    def heard(self, connection: Connection) -> int | None:
        """A file says nothing."""
        del connection

    def is_lost(self, error: DBAPIError) -> bool:
        """A file does not go away."""
        del error
        return False

    def close(self) -> None:
        """Nothing is kept beside the connection."""

    def _damaged(self, why: str) -> StateError:
        return StateError(
            f"{self.place}: the history database is damaged ({why}). Stop Kedge, then restore the file from a backup, "
            f"or move it and its -wal and -shm neighbours away: the history is then empty, and live runs are taken up again."
        )


def size(path: Path) -> int:
    """Bytes of a database's file and its journal; 0 where there is none."""
    found = 0
    for each in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            found += each.stat().st_size
    return found
