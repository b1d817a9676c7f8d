"""Work that goes on while nobody waits for it: held until it is done, since the event loop does not, and heard when it fails."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Background:
    """The tasks of one part of the host; what one of them raises is logged.

    Args:
        part: Whose they are, for the log.
    """

    def __init__(self, part: str) -> None:
        self._part = part
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Begin; the task need not be kept."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self) -> None:
        """Wait until all that was begun is done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Cancel what goes on, and wait until it is over."""
        for task in self._tasks:
            task.cancel()
        await self.finish()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            about = {"part": self._part, "work": str(task.get_coro())}
            _log.error("work in the background has failed", extra=about, exc_info=error)
