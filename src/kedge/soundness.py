"""Whether a SQLite file is as SQLite wrote it: damage is met page by page otherwise, by whoever reads that page first.

SQLite's ``quick_check`` reads every page. That takes a tenth of a second for `SMALL` bytes, so a small file is looked through
before it is used, and a larger one while it is.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

SMALL = 64 << 20  # bytes


def damage(database: sqlite3.Connection) -> str:
    """What is wrong with a database, or nothing; raises `sqlite3.DatabaseError` where it cannot be read at all."""
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    return "" if found == "ok" else " ".join(str(found).split())


async def damage_meanwhile(path: Path) -> str:
    """What is wrong with a file that others read and write meanwhile, or nothing.

    It is read in a thread of its own, over a connection of its own. The write-ahead log grows as long as that takes, as in
    a backup.

    Args:
        path: The file; there is one.
    """
    with closing(sqlite3.connect(path, check_same_thread=False)) as database:
        looking = asyncio.ensure_future(asyncio.to_thread(_said, database))
        try:
            return await asyncio.shield(looking)
        except asyncio.CancelledError:
            database.interrupt()  # a host that stops does not wait for the rest
            await asyncio.wait({looking})
            raise


def _said(database: sqlite3.Connection) -> str:
    try:
        return damage(database)
    except sqlite3.OperationalError:
        return ""  # interrupted, or not to be had now: whoever uses the file is told what is wrong then
    except sqlite3.DatabaseError as error:
        return str(error)
