"""What the hub sees: it says hello, asks for requests, reads large bodies, and brings answers."""

import asyncio
import hmac
import sys
from contextlib import suppress
from typing import Any, Dict, List, NamedTuple

from . import frames, wire
from .desk import Desk, Request, Superseded
from .wire import Head, Headers, Refused

_PATIENCE = 30.0  # seconds in which either side must go on with what it has begun
_POLL_SECONDS = 25.0  # proxies end what is quiet for a minute
_STAY_HERE = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "date")
)
_MARKED: Headers = [(frames.MARK, str(frames.PROTOCOL))]
_FRAMES: Headers = [*_MARKED, ("Content-Type", "application/octet-stream")]


class _Call(NamedTuple):
    """One request of the hub."""

    head: Head
    session: str
    what: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def answer(self, body: bytes = b"") -> None:
        self.writer.write(wire.head_of_answer(200 if body else 204, _FRAMES, len(body), keep=self.head.keep) + body)

    async def body(self) -> bytes:
        if self.head.size > frames.INLINE:
            raise Refused(413, "the body is too large")
        return await asyncio.wait_for(self.reader.readexactly(self.head.size), _PATIENCE)


class Tunnel:
    """Serves the port for the hub.

    Args:
        desk: Where requests wait.
        secret: The file with what the hub must know.
    """

    def __init__(self, desk: Desk, secret: str) -> None:
        self._desk = desk
        self._secret_file = secret
        self._secret = b""
        self._calls = {
            ("POST", "hello"): self._hello,
            ("POST", "next"): self._next,
            ("GET", "body"): self._body,
            ("POST", "answers"): self._answers,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection: one request after another."""
        keep = True
        while keep:
            try:
                head = await wire.read_head(reader)
                if head is None:
                    return
                await self._do(head, reader, writer)
                keep = head.keep
            except Superseded as error:
                writer.write(wire.refusal(Refused(409, str(error)), _MARKED))
                keep = False
            except Refused as error:
                writer.write(wire.refusal(error, _MARKED))
                keep = False
            await writer.drain()
        await wire.finish(reader, writer)

    async def _do(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = head.target.partition("?")[0].split("/")
        if parts == ["", "healthz"]:
            writer.write(wire.head_of_answer(200, _MARKED, 2, keep=head.keep) + b"ok")
            return
        if not self._knows(head.get(frames.SECRET_HEADER).encode("latin-1", "replace")):
            raise Refused(403, "the secret is not this relay's")
        call = None
        if len(parts) in (3, 4) and parts[1] == f"v{frames.PROTOCOL}":
            call = self._calls.get((head.method, parts[2]))
        if call is None:
            raise Refused(404, f"the tunnel has no {head.method} {head.target}")
        await call(_Call(head, head.get(frames.SESSION_HEADER), parts[3] if len(parts) > 3 else "", reader, writer))

    def _knows(self, said: bytes) -> bool:
        if self._secret and hmac.compare_digest(said, self._secret):
            return True
        with open(self._secret_file, "rb") as file:  # it may have been replaced
            self._secret = file.read().strip()
        return bool(self._secret) and hmac.compare_digest(said, self._secret)

    async def _hello(self, call: _Call) -> None:
        await call.body()
        if not call.session:
            raise Refused(400, "a hub must name its session")
        self._desk.greet(call.session)
        print("kedge relay: a hub is connected", file=sys.stderr, flush=True)
        call.answer()

    async def _next(self, call: _Call) -> None:
        """Take in answers, and hand out what waits; the hub says which requests of before have come to it."""
        self._desk.check(call.session)
        await self._take_in(call)
        loop = asyncio.get_running_loop()
        taking = loop.create_task(self._desk.take(call.session, _POLL_SECONDS))
        leaving = loop.create_task(call.reader.read(1))  # a hub that has gone must be given nothing
        try:
            await asyncio.wait({taking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            taking.cancel()
            leaving.cancel()
            raise
        gone = leaving.done()
        leaving.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await leaving
        if not taking.done():
            taking.cancel()
        taken: List[Request] = []
        try:
            taken = await taking
            if gone:
                raise ConnectionResetError
            call.answer(b"".join(map(_told, taken)))
            await asyncio.wait_for(call.writer.drain(), _PATIENCE)
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError) as error:
            self._desk.give_back(taken)
            raise ConnectionResetError from error

    async def _body(self, call: _Call) -> None:
        """Hand out a large body, as it comes from the Pod."""
        self._desk.check(call.session)
        request = self._desk.find(int(call.what)) if call.what.isdigit() else None
        if request is None or request.begun or not request.apart:
            raise Refused(404, "there is no such body any more")
        self._desk.acknowledge([request.number])
        request.begun = True
        call.writer.write(wire.head_of_answer(200, _FRAMES, request.size, keep=call.head.keep))
        try:
            await wire.copy(request.reader, call.writer, request.size, _PATIENCE)
        except BaseException:
            self._desk.fail(request)
            raise

    async def _answers(self, call: _Call) -> None:
        """Take in answers that went with no poll."""
        await self._take_in(call)
        call.answer()

    async def _take_in(self, call: _Call) -> None:
        """Pass each answer to its Pod as it comes."""
        left = call.head.size
        while left > 0:
            length = frames.head_length(await self._read(call, frames.LENGTH))
            head = frames.read_head(await self._read(call, length))
            left -= frames.LENGTH + length + head["size"]
            if "got" in head:
                self._desk.acknowledge(head["got"])
            else:
                await self._answer(call, head)

    async def _read(self, call: _Call, size: int) -> bytes:
        return await asyncio.wait_for(call.reader.readexactly(size), _PATIENCE)

    async def _answer(self, call: _Call, head: Dict[str, Any]) -> None:
        request, size = self._desk.find(head["id"]), head["size"]
        writer = None if request is None else request.writer
        if request is not None and writer is not None:
            request.begun = request.written = True
            headers = [(str(name), str(value)) for name, value in head["headers"] if str(name).lower() not in _STAY_HERE]
            writer.write(wire.head_of_answer(int(head["status"]), headers, size))
        try:
            await wire.copy(call.reader, writer, size, _PATIENCE, wait=size > frames.INLINE)
        except BaseException:
            if request is not None:
                self._desk.fail(request)
            raise
        if request is not None and not request.done.done():
            request.done.set_result(None)


def _told(request: Request) -> bytes:
    head = dict(request.head, id=request.number, size=request.size)
    if request.apart:
        head["apart"] = True
    return frames.pack(head, request.body)
