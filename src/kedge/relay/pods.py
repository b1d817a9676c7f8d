"""What Pods see: the paths of staging, and nothing else."""

import asyncio
import re
from contextlib import suppress

from . import frames, wire
from .desk import Desk, Request
from .wire import Head, Refused

_PATH = re.compile(r"/apis/kedge\.dev/v1/staging(?:/[A-Za-z0-9_-]+)+")
# What staging reads. All others stay here: a header that somebody believes, such as a user's name, may not come from a Pod.
_PASSED_ON = frozenset({"accept", "authorization", "content-encoding", "content-type", "user-agent"})
_PATIENCE = 30.0  # seconds in which a Pod must go on with what it has begun


class Pods:
    """Serves the port for Pods: one request a connection.

    Args:
        desk: Where requests wait.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        request = None
        try:
            head = await asyncio.wait_for(wire.read_head(reader), _PATIENCE)
            if head is None:
                return
            request = await self._take_in(head, reader, writer)
            await self._have_answered(request)
        except Refused as error:
            if request is None or not request.written:
                writer.write(wire.refusal(error))
                await wire.finish(reader, writer)

    async def _take_in(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        if not _PATH.fullmatch(head.target):
            raise Refused(404, "this is a relay for staging: it serves nothing else")
        if head.method not in ("GET", "POST"):
            raise Refused(405, "staging has no such method")
        if head.size > frames.MAX_BODY:
            raise Refused(413, f"the body has {head.size} bytes; {frames.MAX_BODY} are passed on")
        self._desk.admit(head.size)
        if head.get("expect").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if head.size <= frames.INLINE:
            body = await asyncio.wait_for(reader.readexactly(head.size), _PATIENCE)
        passed = [(name, value) for name, value in head.headers if name.lower() in _PASSED_ON]
        told = {"method": head.method, "path": head.target, "headers": passed}
        return Request(self._desk.number(), told, head.size, body=body, ends=(reader, writer))

    async def _have_answered(self, request: Request) -> None:
        if request.apart:  # what is read from it is its body, so it cannot be seen leaving
            await self._desk.ask(request)
            return
        loop = asyncio.get_running_loop()
        asking = loop.create_task(self._desk.ask(request))
        leaving = loop.create_task(request.reader.read(1))
        try:
            await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                asking.result()
        finally:
            for task in (asking, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, Refused, OSError):
                    await task
