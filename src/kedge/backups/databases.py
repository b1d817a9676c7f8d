"""Copies of SQLite files that others write to: all as they were at one moment, while their writers go on."""

import select
import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from kedge.backups.archive import Told
from kedge.errors import StateError, Unavailable

_PAGES = 1024  # copied at once, between two words about how far it has come
_PAUSE = 0.005  # seconds
_PATIENCE = 30.0  # seconds that the moment in which nobody writes is waited for


@contextmanager
def snapshots(files: Mapping[str, Path]) -> Generator[dict[str, sqlite3.Connection]]:
    """Connections to several databases, each reading what it was at the same moment; writers go on.

    For that moment both are kept from being written, for less than a millisecond: their writers wait, as for any other write. A
    reader in a write-ahead log sees what was there when it began.

    Args:
        files: The databases, by what they are called.

    Raises:
        Unavailable: Something else held one of them for half a minute.
        StateError: One cannot be read.
    """
    with ExitStack() as stack:
        try:
            opened = {name: [_open(stack, path), _open(stack, path)] for name, path in files.items()}
            _begin_together([pair[0] for pair in opened.values()], [pair[1] for pair in opened.values()])
        except sqlite3.DatabaseError as error:
            names = ", ".join(map(str, files.values()))
            raise StateError(
                f"{names}: cannot be read ({error}). `kedge up` says what is wrong with it, and what helps."
            ) from error
        yield {name: pair[1] for name, pair in opened.items()}


def _open(stack: ExitStack, path: Path) -> sqlite3.Connection:
    return stack.enter_context(
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0))
    )


def _begin_together(holding: list[sqlite3.Connection], reading: list[sqlite3.Connection]) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            # Never waiting for one while holding another: their writer may do it the other way round.
            for each in holding:
                each.execute("BEGIN IMMEDIATE")
            for each in reading:
                each.execute("BEGIN")
                each.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            _end(reading)
            if "locked" not in str(error):
                raise
            if time.monotonic() > end:
                raise Unavailable(f"the databases were written to without a pause for {_PATIENCE:g} s. Try again.") from error
        else:
            return
        finally:
            _end(holding)
        select.select([], [], [], _PAUSE)


def _end(transactions: list[sqlite3.Connection]) -> None:
    for each in transactions:
        if each.in_transaction:
            each.execute("ROLLBACK")


def copy(source: sqlite3.Connection, target: Path, told: Told) -> None:
    """Write a database as a connection sees it into a new file, and look through that.

    Args:
        source: In a transaction: what it sees does not change meanwhile.
        target: The file; there is none yet. Afterwards nothing lies beside it.
        told: How far it has come.

    Raises:
        StateError: The database is damaged.
    """
    (size,) = source.execute("PRAGMA page_size").fetchone()

    def progress(_status: int, remaining: int, total: int) -> None:
        told("copying", (total - remaining) * size, total * size)

    target.touch(mode=0o600)
    with closing(sqlite3.connect(target, isolation_level=None)) as copied:
        source.backup(copied, pages=_PAGES, progress=progress)
        copied.execute("PRAGMA journal_mode = DELETE")
        told("checking", 0, 0)
        check(copied, target)


def check(database: sqlite3.Connection, path: Path) -> None:
    """Read all of a database; raises `StateError` where something in it is not as it must be."""
    try:
        (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise StateError(f"{path}: the database is damaged ({' '.join(str(found).split())}). See docs/database.md, Repair.")
