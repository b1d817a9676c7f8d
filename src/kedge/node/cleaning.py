"""Removes what Pods leave behind: when no Pod has ended for a moment, because nobody waits for it and the next step would."""

import asyncio
import contextlib
import shutil
from pathlib import Path

_QUIET_SECONDS = 0.5
_LONGEST_SECONDS = 5.0  # what lies there takes space: so long it waits where Pods end without a pause


class Cleaner:
    """What has to be removed."""

    def __init__(self) -> None:
        self._due: dict[Path, bool] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._last = self._until = 0.0
        self._at_work: set[asyncio.Future[None]] = set()

    def add(self, directory: Path, *, keep_logs: bool) -> None:
        """Remove a Pod's directory, or all of it but its logs, soon.

        Args:
            directory: The Pod's own.
            keep_logs: Whether its logs are still wanted.
        """
        self._due[directory] = keep_logs and self._due.get(directory, True)
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        if self._timer is None:
            self._until = self._last + _LONGEST_SECONDS
            self._timer = loop.call_later(_QUIET_SECONDS, self._begin_if_quiet)

    async def close(self) -> None:
        """Remove what is due, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin()
        await asyncio.gather(*self._at_work)

    def _begin_if_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        due = min(self._last + _QUIET_SECONDS, self._until)
        if loop.time() < due:
            self._timer = loop.call_at(due, self._begin_if_quiet)
        else:
            self._begin()

    def _begin(self) -> None:
        due, self._due, self._timer = self._due, {}, None
        work = asyncio.get_running_loop().run_in_executor(None, _clean_all, due)
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)


def _clean_all(due: dict[Path, bool]) -> None:
    for directory, keep_logs in due.items():
        clean(directory, keep_logs=keep_logs)


def clean(directory: Path, *, keep_logs: bool) -> None:
    """Remove a Pod's directory, or all of it but its logs; what cannot be removed is left."""
    if not keep_logs:
        shutil.rmtree(directory, ignore_errors=True)
        return
    for entry in directory.iterdir() if directory.is_dir() else ():
        if entry.is_dir():
            with contextlib.suppress(OSError):  # an overlay leaves a directory behind that nobody may look into
                (entry / "work" / "work").chmod(0o700)
            shutil.rmtree(entry, ignore_errors=True)
        elif ".log" not in entry.name:
            entry.unlink(missing_ok=True)
