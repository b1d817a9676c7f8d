"""What becomes of runs, told to those who follow all of them: each that begins, changes its state, or is deleted."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from kedge.pipelines.records import RunRecord

# Runs whose change may wait for a reader; of each the newest alone waits. One who is slower than that is let go.
_MOST_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class RunChange:
    """What became of a run.

    Attributes:
        run: As it is now, or was.
        deleted: Whether it is gone.
    """

    run: RunRecord
    deleted: bool = False


class _Reader:
    def __init__(self, wanted: Callable[[RunRecord], bool]) -> None:
        self.wanted = wanted
        self.waiting: dict[str, RunChange] = {}
        self.wake = asyncio.Event()
        self.over = False


class RunChanges:
    """Passes changes on; nothing is kept for those who do not follow."""

    def __init__(self) -> None:
        self._readers: list[_Reader] = []
        self._closed = False

    def tell(self, run: RunRecord, *, deleted: bool = False) -> None:
        """Tell what was written of a run. To be called where the event loop runs."""
        for reader in self._readers:
            if reader.wanted(run):
                reader.waiting[run.id] = RunChange(run, deleted)
                reader.over = reader.over or len(reader.waiting) > _MOST_WAITING
                reader.wake.set()

    def close(self) -> None:
        """End all that follow; who comes later is told nothing."""
        self._closed = True
        for reader in self._readers:
            reader.over = True
            reader.wake.set()

    async def follow(self, wanted: Callable[[RunRecord], bool]) -> AsyncGenerator[list[RunChange]]:
        """Follow runs from now on.

        Args:
            wanted: Which.

        Yields:
            What has changed since the last time; of each run how it is in the end. It ends when the host stops, and for a reader
            who is so slow that a thousand runs wait for it: such a one lists them again.
        """
        reader = _Reader(wanted)
        self._readers.append(reader)
        try:
            while not self._closed:
                await reader.wake.wait()
                if reader.over:
                    return
                reader.wake.clear()
                found, reader.waiting = list(reader.waiting.values()), {}
                yield found
        finally:
            self._readers.remove(reader)
