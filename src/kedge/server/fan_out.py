"""Tells all watches of what was written, in one round that begins when it may leave the host.

A watch whose client reads is written to in the round itself: its own task sleeps until there is something else to do. So a change
costs each watch little more than its bytes. Whatever is out of the ordinary is left to the task, which is woken: a client that
reads too slowly, much at once, a table, an answer that has not begun or is just being written to.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from kedge.client.types import WatchEvent
from kedge.errors import StateError
from kedge.server.answers import Printer
from kedge.store.disk import Disk

BACKLOG = 8192  # changes
BACKLOG_BYTES = 16 << 20  # of them as they are written; shared by all watches of the same objects
PIECE = 64 << 10  # bytes that are handed on at once: what a slow reader keeps of its own


class FanOut:
    """The rounds.

    Args:
        disk: What is told must be there first; ``None`` where it need not.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk
        self._told: list[Watcher] = []
        self._round: asyncio.Task[None] | None = None

    def tell(self, watcher: "Watcher") -> None:
        """Send in the next round what a watcher was told."""
        self._told.append(watcher)
        if len(self._told) == 1:
            self._round = asyncio.get_running_loop().create_task(self._send())  # after the answer to whoever is just writing

    async def _send(self) -> None:
        disk = self._disk
        if disk is not None and disk.is_behind:
            with suppress(StateError):  # which each watch meets by itself
                await disk.reach()
        told, self._told = self._told, []
        at_once = disk is None or not disk.is_behind  # it is where more was written meanwhile
        for watcher in told:
            watcher.send(at_once=at_once)


class Watcher:
    """What one watch is still to be told, and how.

    Args:
        printer: Prints its events.
        fan_out: Tells it.
        write: Sends a piece of it at once, and says whether that was possible.

    Attributes:
        overflowed: Whether there was more to be told than is kept: the client does not read, or too slowly.
        on_overflow: Called when that is so.
    """

    def __init__(self, printer: Printer, fan_out: FanOut, write: Callable[[bytes], bool]) -> None:
        self.overflowed = False
        self.on_overflow: Callable[[], None] = lambda: None
        self._printer = printer
        self._fan_out = fan_out
        self._write = write
        self._events: list[WatchEvent | bytes] = []
        self._size = 0
        self._idle: asyncio.Future[None] | None = None

    def put(self, event: WatchEvent) -> None:
        """Add an event, unless there are too many."""
        line = self._printer.lines.of(event)
        if not self._events:
            self._fan_out.tell(self)
        self._size += len(line)
        if len(self._events) >= BACKLOG or self._size > BACKLOG_BYTES:
            if not self.overflowed:
                self.overflowed = True
                self.on_overflow()
        else:
            self._events.append(line if self._printer.is_plain else event)

    def send(self, *, at_once: bool) -> None:
        """Send what there is, or wake the watch's task to do it.

        Args:
            at_once: Whether it may leave the host by now.
        """
        if self._idle is None or self._idle.done() or not (self._events or self.overflowed):
            return  # its task is at work, and takes what is there
        at_once = at_once and self._printer.is_plain and self._size <= PIECE and not self.overflowed
        if at_once and self._write(b"".join(cast("list[bytes]", self._events))):
            self._events, self._size = [], 0
        else:
            self._wake()

    async def take(self, seconds: float) -> Sequence[WatchEvent | bytes]:
        """The events that could not be sent without its task, at once when there are some; none when that time is over."""
        if not self._events and not self.overflowed:
            loop = asyncio.get_running_loop()
            self._idle = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._idle
            finally:
                self._idle = None
                timer.cancel()
        events, self._events, self._size = self._events, [], 0
        return events

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
