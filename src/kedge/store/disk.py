"""Brings the object log to the disk: one fsync for all who wait for it.

With ``synchronous=FULL`` SQLite itself waits for the disk at each commit. Here commits go on as with ``NORMAL``, into the
write-ahead log, and that file is brought to the disk, as SQLite would have done, when whoever must not go on before it was there
waits for `Disk.reach`. What clients write at once is there after one fsync: of those who wait, the last one begins it.

SQLite, also with ``NORMAL``, brings a new write-ahead log's head and its directory to the disk by itself, and the whole of it
before it moves what is in there to the database and writes over it. So the one file that this brings to the disk is all that an
answered write needs. Everything happens in one thread: no fsync and no checkpoint runs beside another.

A disk that has refused once is never asked again: systems forget the pages that they could not write, and the next fsync of the
same file says that all is well. The file is opened at once, since a system tells of such a failure only to those who had the file
open; SQLite may have met it in a checkpoint, about which it says nothing.

The fsync holds the event loop, as every commit with ``FULL`` does. In a thread it took one client 1.2 to 1.4 times as long.
Whether several gain from one was measured in one run only (1.83 times the updates, 0.90 times the creates), and is not known.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from kedge.errors import StateError
from kedge.store.types import Store


class Disk:
    """The disk below a log.

    Args:
        log: Its newest revision is what is to be reached.
        path: The log's file. It is open while this is used: its write-ahead log stays the same file that long.

    Attributes:
        on_failure: Called when the disk refuses. What was written may be lost then, and is neither answered nor shown.

    Raises:
        StateError: There is no write-ahead log, or it cannot be opened.
    """

    def __init__(self, log: Store, path: Path) -> None:
        self._log = log
        self._wal = path.with_name(f"{path.name}-wal")
        self._reached = -1  # what an earlier process has written may still be on its way
        self._refused = ""
        self._waiting: list[asyncio.Future[None]] = []
        self.on_failure: Callable[[StateError], None] | None = None
        try:
            self._file = os.open(self._wal, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StateError(
                f"{self._wal}: cannot be opened: {error.strerror}. Make it and its directory writable, then start again."
            ) from error

    @property
    def is_behind(self) -> bool:
        """Whether something was written that is not known to be on the disk."""
        return self._log.current() != self._reached or self._refused != ""

    async def reach(self) -> None:
        """Wait until everything that was written before this call is on the disk.

        Raises:
            StateError: The disk refused, now or before.
        """
        if self._refused:
            raise StateError(self._refused)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._turn)  # after everyone whose request is there already
        told = loop.create_future()
        self._waiting.append(told)
        await told

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        revision = self._log.current()
        try:
            _to_disk(self._file)
            self._reached = revision
        except OSError as error:
            self._refuse(error)
        for told in waiting:
            if told.done():
                continue  # whoever waited has gone
            if self._refused:
                told.set_exception(StateError(self._refused))
            else:
                told.set_result(None)

    def _refuse(self, error: OSError) -> None:
        self._refused = (
            f"{self._wal}: the disk refused ({error}). What was written last may be lost. Check its free space and health "
            "(df, dmesg), then start again."
        )
        if self.on_failure is not None:
            self.on_failure(StateError(self._refused))


# Where there is no fdatasync (macOS) SQLite uses fsync too; there it does not empty the drive's own cache.
_to_disk = getattr(os, "fdatasync", os.fsync)
