"""Answers that are sent as they come: watches and followed logs, and what another server answers.

Those without an end stop when the client goes, when time is over, or with the host.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from starlette.types import Receive, Scope, Send

from kedge.client.status import to_status
from kedge.client.types import WatchEvent
from kedge.errors import ApiError, Gone
from kedge.server.answers import Printer, line
from kedge.server.connections import CONNECTION, Connection
from kedge.server.core import Core, Target
from kedge.server.fan_out import BACKLOG, BACKLOG_BYTES, PIECE, FanOut, Watcher
from kedge.server.list import Query, listing
from kedge.server.patience import UNREAD_SECONDS
from kedge.server.status import JSON, send_error
from kedge.server.watch import subscribe
from kedge.store.disk import Disk

_log = logging.getLogger(__name__)
BOOKMARK_SECONDS = 60.0
DEFAULT_SECONDS = 1800


class Streams:
    """Every stream under way, so that a host that stops can end them.

    Args:
        disk: Where what watches are told must be first; ``None`` where it need not.

    Attributes:
        fan_out: Tells watches.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self.fan_out = FanOut(disk)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def close(self) -> None:
        """End all streams, and those that begin later at once."""
        self._closed = True
        for task in self._tasks:
            task.cancel()

    async def run(self, answer: "Answer", receive: Receive, body: Coroutine[Any, Any, None]) -> None:
        """Let a body write its answer until it is done, the client goes away, or the host stops.

        Args:
            answer: Where it writes to.
            receive: Tells when the client has gone.
            body: Writes.
        """
        writer = asyncio.create_task(body)
        watcher = asyncio.create_task(_gone(receive))
        self._tasks.add(writer)
        if self._closed:
            writer.cancel()
        try:
            await asyncio.wait({writer, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tasks.discard(writer)
            gone = watcher.done()
            for task in (writer, watcher):
                task.cancel()
            await asyncio.wait({writer, watcher})
        if not writer.cancelled():
            writer.result()
        if not gone:
            await answer.end()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class Answer:
    """An answer that is sent piece by piece.

    Attributes:
        send: ASGI's.
        content_type: Of the pieces.
        abort: Cuts the connection, with what was not sent yet.
        write_at_once: Sends a piece without waiting, after the head and while nothing else is being sent; says whether it could.
        started: Whether the head was sent: from then on an error can no longer have a status code.
    """

    send: Send
    content_type: bytes
    abort: Callable[[], None] = lambda: None
    write_at_once: Callable[[bytes], bool] = lambda _: False
    started: bool = False

    async def start(self) -> None:
        """Send the head."""
        self.started = True
        headers = [(b"content-type", self.content_type), (b"cache-control", b"no-cache, private")]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, piece: bytes) -> None:
        """Send a piece, after the head."""
        if not self.started:
            await self.start()
        await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """Send the end."""
        if not self.started:
            await self.start()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def watch_answer(scope: Scope, send: Send) -> Answer:
    """The answer to a watch: one JSON object a line."""
    answer = Answer(send, JSON)
    connection: Connection | None = scope.get(CONNECTION)
    if connection is not None:
        answer.abort = connection.abort
        if scope["http_version"] == "1.1":  # before, there were no chunks
            answer.write_at_once = connection.write_chunk
    return answer


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch.

    Attributes:
        initial: Begin with an ADDED for every object there is, instead of at ``Query.revision``.
        end_of_initial: Send a bookmark after those.
        bookmarks: Say now and then how far the watch has come.
        seconds: How long to go on.
    """

    initial: bool = False
    end_of_initial: bool = False
    bookmarks: bool = False
    seconds: float = DEFAULT_SECONDS


async def _write_events(answer: Answer, printer: Printer, events: Sequence[WatchEvent | bytes]) -> None:
    """Write lines in pieces that are small beside what may wait."""
    pieces: list[bytes] = []
    size = 0
    for event in events:
        pieces.append(event if isinstance(event, bytes) else printer.event(event))
        size += len(pieces[-1])
        if size >= PIECE:
            await answer.write(b"".join(pieces))
            pieces, size = [], 0
    if pieces:
        await answer.write(b"".join(pieces))


async def write_watch(
    core: Core, target: Target, query: Query, options: WatchOptions, out: tuple[Answer, Printer, FanOut]
) -> None:
    """Write a watch until its time is over. Who does not read then, nor when more has come than is kept, is cut off.

    Args:
        core: The server.
        target: Kind and namespace.
        query: Selectors, and where to begin.
        options: How.
        out: Where to, how it is printed, and what tells of changes.

    A beginning that is too old is told in the stream, as kube-apiserver does: some clients look for it nowhere else.
    """
    answer, printer, fan_out = out
    watcher = Watcher(printer, fan_out, answer.write_at_once)
    head: list[WatchEvent | bytes] = []
    if options.initial:
        page = listing(core, target, Query(query.labels, query.fields))
        head = [printer.event(WatchEvent("ADDED", obj)) for obj in page.items]
        query = Query(query.labels, query.fields, revision=int(page.resource_version))
        if options.end_of_initial:
            head.append(printer.bookmark(page.resource_version, initial_events_end=True))
    try:
        unsubscribe = subscribe(core, target, query, watcher.put)
    except Gone as error:
        told = {"type": "ERROR", "object": to_status(error, kind=target.kind)}
        await answer.write(msgspec.json.encode(told) + b"\n")
        return
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(options.seconds + UNREAD_SECONDS) as patience:
            watcher.on_overflow = lambda: patience.reschedule(loop.time() + UNREAD_SECONDS)
            if watcher.overflowed:
                watcher.on_overflow()
            if not head:
                await answer.write(b"")
            await _write_events(answer, printer, head)
            head.clear()
            await _tell(core, watcher, options, (answer, printer))
    except TimeoutError:
        _log.info("a watch was cut off: its client does not read", extra={"kind": target.kind.resource})
        answer.abort()
    finally:
        unsubscribe()


async def _tell(core: Core, watcher: Watcher, options: WatchOptions, out: tuple[Answer, Printer]) -> None:
    answer, printer = out
    end = core.clock.monotonic() + options.seconds
    while (left := end - core.clock.monotonic()) > 0 and not watcher.overflowed:
        if events := await watcher.take(min(left, BOOKMARK_SECONDS)):
            await _write_events(answer, printer, events)
        elif options.bookmarks:
            await answer.write(printer.bookmark(str(core.store.current())))
    if watcher.overflowed:
        behind = Gone(
            f"this watch fell more than {BACKLOG} changes, or {BACKLOG_BYTES >> 20} MiB, behind. List again and watch from there."
        )
        await answer.write(line("ERROR", to_status(behind)))


async def write_log(answer: Answer, pieces: AsyncIterator[bytes]) -> None:
    """Write a log to its end.

    Raises:
        BadRequest: There is nothing to read; raised before anything is written.
    """
    close: Callable[[], Awaitable[Any]] | None = getattr(pieces, "aclose", None)
    try:
        async for piece in pieces:
            if piece:
                await answer.write(piece)
    finally:
        if close is not None:
            await close()


async def pass_on(send: Send, exchange: AbstractAsyncContextManager[httpx.Response]) -> None:
    """Answer with what another server answers, piece by piece; with an error where it does not.

    Args:
        send: ASGI's.
        exchange: The request, not sent yet, and its answer.

    Raises:
        ApiError: It stopped in the middle. The connection is cut then: half an answer is none.
    """
    begun = False
    try:
        async with exchange as answer:
            kind = answer.headers.get("content-type", "application/json").encode()
            await send({"type": "http.response.start", "status": answer.status_code, "headers": [(b"content-type", kind)]})
            begun = True
            async for piece in answer.aiter_bytes():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    except ApiError as error:
        if begun:
            raise
        await send_error(send, error)
