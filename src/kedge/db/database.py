"""The connection to the history database, its transactions, and what its errors mean.

There is one connection, used by the hub's thread alone: with SQLite in its WAL mode a transaction of a few rows is a tenth of a
millisecond, less than handing it to another thread and back would cost.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Generator
from pathlib import Path

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from kedge.db import schema
from kedge.errors import StateError, Unavailable
from kedge.measures import Histogram

# How long a write waits for another program (a backup) that holds the file, in seconds. It blocks the hub, so it is short:
# what could not be written is tried again.
_BUSY_TIMEOUT = 2.0
# Bytes; so much is read through in a tenth of a second.
_CHECKED = 64 << 20

_FULL = {"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE", "SQLITE_CANTOPEN"}
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY", "SQLITE_PROTOCOL"}
_CORRUPT = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX", "SQLITE_IOERR_SHORT_READ"}
_UNREADABLE = "Could not decode to UTF-8"  # what Python says of a text that is none, without a code of SQLite's


class Database:
    """One SQL database at the version that this code reads.

    Args:
        engine: Where to connect; `open_sqlite` makes one.
        place: The database's name in messages: a path or an address without its password.

    Attributes:
        written: How long transactions took that wrote.
        on_damage: Called when the file turns out to be damaged, before that is raised: whoever asked may only want to try again,
            which helps nobody.

    Raises:
        StateError: It is corrupt, or a newer version wrote it.
        Unavailable: It cannot be reached or written now.
    """

    def __init__(self, engine: sqlalchemy.Engine, place: str) -> None:
        self.place = place
        self._engine = engine
        self.on_damage: Callable[[StateError], None] | None = None
        with self._explained():
            self._connection = engine.connect()
        self._sqlite = engine.dialect.name == "sqlite"
        self.written = Histogram()
        try:
            self._check()
            with self._explained():
                schema.prepare(self._connection, place)
        except BaseException:
            self.close()
            raise

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def transaction(self) -> Generator[Connection]:
        """All of what is written inside, or nothing.

        Raises:
            Unavailable: The disk is full or another program holds the file; nothing was written, try again later.
            StateError: The file is damaged.
        """
        start = time.perf_counter()
        with self._explained(), self._connection.begin():
            if self._sqlite:  # IMMEDIATE: wait for the lock here, where nothing has been read yet
                self._connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield self._connection
        self.written.observe(time.perf_counter() - start)

    @contextlib.contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection to read from; also usable inside `transaction`, whose writes it then sees."""
        if self._connection.in_transaction():
            yield self._connection
            return
        with self._explained():
            try:
                yield self._connection
            finally:
                self._connection.rollback()

    def close(self) -> None:
        """Close the connection; harmless when done twice."""
        self._connection.close()
        self._engine.dispose()

    def _check(self) -> None:
        """Look for damage that runs would meet page by page otherwise; a large file is left to ``kedge doctor``."""
        if not self._sqlite:
            return
        with self.reading() as connection:
            size = connection.exec_driver_sql(
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            ).scalar()
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() if (size or 0) <= _CHECKED else "ok"
        if found != "ok":
            raise self._damaged(" ".join(str(found).split()))

    def _damaged(self, why: str) -> StateError:
        return StateError(
            f"{self.place}: the history database is damaged ({why}). Stop Kedge, then restore the file from a backup, "
            f"or move it and its -wal and -shm neighbours away: the history is then empty, and live runs are taken up again."
        )

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except IntegrityError:
            raise  # a rule of the tables: the caller knows what it means
        except DBAPIError as error:
            meaning = self._meaning(error)
            if isinstance(meaning, StateError) and self.on_damage is not None:
                self.on_damage(meaning)
            raise meaning from error

    def _meaning(self, error: DBAPIError) -> Exception:
        name = getattr(error.orig, "sqlite_errorname", "")
        if name in _CORRUPT or (not name and _UNREADABLE in str(error.orig)):
            return self._damaged(str(error.orig))
        if name in _BUSY:
            return Unavailable(
                f"{self.place}: another program holds the database ({error.orig}). Wait for it to end, or stop it."
            )
        if name == "SQLITE_FULL":
            return Unavailable(
                f"{self.place}: the disk is full. Free some space there; nothing was lost, and it can go on at once."
            )
        if name in _FULL:
            return Unavailable(
                f"{self.place}: cannot be written ({error.orig}). Make space on its disk; what waits then goes on."
            )
        if name == "SQLITE_READONLY" or error.connection_invalidated:
            return Unavailable(f"{self.place}: cannot be written ({error.orig}). Check its permissions and its disk.")
        return error


def open_sqlite(path: Path, *, synchronous: str = "NORMAL") -> Database:
    """Open or make a database file.

    Args:
        path: The file; ``-wal`` and ``-shm`` lie beside it.
        synchronous: ``NORMAL`` survives any crash of the process; ``FULL`` also a power cut, at some milliseconds a transaction.

    Raises:
        StateError: The file is corrupt, or a newer version wrote it.
        Unavailable: It cannot be opened or written.
    """
    with contextlib.suppress(OSError):  # what is wrong with the place is said when the file is opened
        path.touch(mode=0o600)  # its owner's alone, and with it the files that SQLite lays beside it
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
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

    return Database(engine, str(path))
