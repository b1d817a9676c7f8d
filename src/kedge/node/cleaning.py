"""Removes what Pods leave behind: when no Pod has ended for a moment, because nobody waits for it and the next step would."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

from kedge.control.background import Background
from kedge.control.quiet import Quiet
from kedge.kube.clock import Clock
from kedge.node.removing import remove

_QUIET_SECONDS = 0.5
_LONGEST_SECONDS = 5.0  # what lies there takes space: so long it waits where Pods end without a pause


class Cleaner:
    """What has to be removed.

    Args:
        clock: Waits.
        environ: What folders are removed with, see `removing`.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._due: dict[Path, bool] = {}
        self._quiet = Quiet(clock, _QUIET_SECONDS, longest=_LONGEST_SECONDS)
        self._background = Background("what Pods leave behind")
        self._waiting: asyncio.Task[None] | None = None

    def add(self, directory: Path, *, keep_logs: bool) -> None:
        """Remove a Pod's directory, or all of it but its logs, soon.

        Args:
            directory: The Pod's own.
            keep_logs: Whether its logs are still wanted.
        """
        self._due[directory] = keep_logs and self._due.get(directory, True)
        self._quiet.stir()
        if self._waiting is None:
            self._waiting = self._background.start(self._clean())

    async def close(self) -> None:
        """Remove what is due, now."""
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.to_thread(_clean_all, self._due, self._environ)
        await self._background.finish()

    async def _clean(self) -> None:
        await self._quiet.wait()
        due, self._due, self._waiting = self._due, {}, None
        await asyncio.to_thread(_clean_all, due, self._environ)


def _clean_all(due: dict[Path, bool], environ: Mapping[str, str]) -> None:
    for directory, keep_logs in due.items():
        clean(directory, environ, keep_logs=keep_logs)


def clean(directory: Path, environ: Mapping[str, str], *, keep_logs: bool) -> None:
    """Remove a Pod's directory, or all of it but its logs; what cannot be removed is left."""
    if not keep_logs:
        remove(directory, environ)
        return
    for entry in directory.iterdir() if directory.is_dir() else ():
        if entry.is_dir():
            with contextlib.suppress(OSError):  # an overlay leaves a directory behind that nobody may look into
                (entry / "work" / "work").chmod(0o700)
            remove(entry, environ)
        elif ".log" not in entry.name:
            entry.unlink(missing_ok=True)
