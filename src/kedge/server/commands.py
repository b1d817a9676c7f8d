"""How a program's streams travel between a client of ``exec`` or ``attach`` and the host: Kubernetes' remote command protocols.

Over a WebSocket each message begins with the number of its channel (``v5.channel.k8s.io`` and those before it; KEP-4006); over
SPDY each is a stream of its own. In both, the fourth is for how the program ended: since version 4 a ``Status`` as JSON, before
that a line of text. What a client does not read is not read from the program either, which then waits.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from kedge.kube.kinds import Obj
from kedge.server.processes import Ended, Program
from kedge.server.spdy import Session, Stream
from kedge.server.websocket import WebSocket

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_OUTPUTS = {"stdout": STDOUT, "stderr": STDERR}
_PING_SECONDS, _GOODBYE_SECONDS = 15.0, 5.0
_NAMES = {STDIN: "stdin", RESIZE: "resize"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the protocol.

    Attributes:
        status: Whether the end is told as a ``Status``.
        closes: Whether a channel can be closed by itself.
        base64: Whether messages are text: a digit and base64.
    """

    status: bool = True
    closes: bool = False
    base64: bool = False


WEBSOCKET: Mapping[str, Dialect] = {
    "v5.channel.k8s.io": Dialect(closes=True),
    "v4.channel.k8s.io": Dialect(),
    "v4.base64.channel.k8s.io": Dialect(base64=True),
    "channel.k8s.io": Dialect(status=False),
    "base64.channel.k8s.io": Dialect(status=False, base64=True),
    "": Dialect(status=False),
}
"""What is spoken over WebSockets, by the name under which it is negotiated."""
SPDY: Mapping[str, Dialect] = {
    "v4.channel.k8s.io": Dialect(),
    "v3.channel.k8s.io": Dialect(status=False),
    "v2.channel.k8s.io": Dialect(status=False),
    "channel.k8s.io": Dialect(status=False),
}
"""What is spoken over SPDY."""


def packed(channel: int, data: bytes, *, text: bool) -> bytes:
    """A message of a channel; as text, a digit and base64."""
    return b"%d" % channel + base64.b64encode(data) if text else bytes([channel]) + data


def unpacked(message: bytes, *, text: bool) -> tuple[int, bytes]:
    """The channel of a message, and what it says; -1 for one that says nothing that can be read."""
    if not message:
        return -1, b""
    if not text:
        return message[0], message[1:]
    try:
        return message[0] - ord("0"), base64.b64decode(message[1:])
    except binascii.Error:
        return -1, b""


class Wire(Protocol):
    """The client's side of a program."""

    dialect: Dialect

    def inputs(self) -> AsyncGenerator[tuple[str, bytes]]:
        """What the client sends: ``stdin`` (empty: it has ended) and ``resize``; ends when the client goes."""
        ...

    async def output(self, name: str, data: bytes) -> None:
        """Send what the program has printed; empty at the end of it."""
        ...

    async def finish(self, end: bytes) -> None:
        """Send how it ended, and say goodbye."""
        ...

    async def ping(self) -> None:
        """Send something that changes nothing: it fails where the client is gone."""
        ...


class Channels:
    """A program over a WebSocket.

    Args:
        socket: The open WebSocket.
        dialect: What is spoken over it.
    """

    def __init__(self, socket: WebSocket, dialect: Dialect) -> None:
        self.dialect = dialect
        self._socket = socket

    async def inputs(self) -> AsyncGenerator[tuple[str, bytes]]:
        """See `Wire`."""
        while (message := await self._socket.receive()) is not None:
            channel, data = unpacked(message, text=self.dialect.base64)
            if channel == CLOSE and self.dialect.closes and data[:1] == bytes([STDIN]):
                yield "stdin", b""
            elif channel in _NAMES and data:
                yield _NAMES[channel], data

    async def _send(self, channel: int, data: bytes) -> None:
        await self._socket.send(packed(channel, data, text=self.dialect.base64), text=self.dialect.base64)

    async def greet(self, names: tuple[str, ...]) -> None:
        """Send an empty message on the first channel, by which clients know that it is open."""
        await self._send(_OUTPUTS[names[0]] if names else ERROR, b"")

    async def output(self, name: str, data: bytes) -> None:
        """See `Wire`."""
        if data:
            await self._send(_OUTPUTS[name], data)

    async def finish(self, end: bytes) -> None:
        """See `Wire`."""
        if end:
            await self._send(ERROR, end)
        await self._socket.close()

    async def ping(self) -> None:
        """See `Wire`."""
        await self._socket.ping()


class Streams:
    """A program over SPDY, whose streams the client opens one by one.

    Args:
        read: See `kedge.server.spdy.Session`.
        write: Likewise.
        dialect: What is spoken over it.
        wanted: Names of the streams that the client will open.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        write: Callable[[bytes], Awaitable[None]],
        *,
        dialect: Dialect,
        wanted: frozenset[str],
    ) -> None:
        self.dialect = dialect
        self._wanted = wanted
        self._there: dict[str, Stream] = {}
        self._complete = asyncio.Event()
        self._session = Session(read, write, self._opened)

    def _opened(self, stream: Stream) -> None:
        self._there.setdefault(stream.headers.get("streamtype", ""), stream)
        if self._wanted <= self._there.keys():
            self._complete.set()

    async def inputs(self) -> AsyncGenerator[tuple[str, bytes]]:
        """See `Wire`."""
        queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(1)

        async def read(name: str) -> None:
            while data := await self._there[name].read():
                await queue.put((name, data))
            if name == "stdin":
                await queue.put((name, b""))

        async def run() -> None:
            try:
                await self._session.run()
            finally:
                await queue.put(None)

        tasks = [asyncio.create_task(run())]
        try:
            waiting = asyncio.create_task(self._complete.wait())
            await asyncio.wait({waiting, tasks[0]}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            tasks += [asyncio.create_task(read(name)) for name in ("stdin", "resize") if name in self._there]
            while (got := await queue.get()) is not None:
                yield got
            await tasks[0]  # raises what was wrong
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def output(self, name: str, data: bytes) -> None:
        """See `Wire`."""
        await self._complete.wait()
        await (self._there[name].write(data) if data else self._there[name].close())

    async def finish(self, end: bytes) -> None:
        """See `Wire`."""
        await self._complete.wait()
        await self._there["error"].write(end)
        for stream in self._there.values():
            await stream.close()

    async def ping(self) -> None:
        """See `Wire`."""
        await self._session.ping()


async def converse(program: Program, wire: Wire, outputs: tuple[str, ...], end: Callable[[Ended], Obj]) -> None:
    """Carry a program's streams to its end, or to the client's.

    Args:
        program: It is let go of in any case.
        wire: To the client.
        outputs: Names of those that are read.
        end: Makes the ``Status`` that tells how it ended.
    """
    reading = asyncio.create_task(_feed(program, wire))
    writing = asyncio.create_task(_tell(program, wire, outputs, end))
    pinging = asyncio.create_task(_ping(wire))
    try:
        await asyncio.wait({reading, writing, pinging}, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            # The client says goodbye now; what it still sends has nobody to read it.
            await asyncio.wait({reading}, timeout=_GOODBYE_SECONDS)
    finally:
        program.close()
        for task in (reading, writing, pinging):
            task.cancel()
        results = await asyncio.gather(reading, writing, pinging, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result


async def _feed(program: Program, wire: Wire) -> None:
    async with contextlib.aclosing(wire.inputs()) as inputs:
        async for name, data in inputs:
            if name == "resize":
                _resize(program, data)
            elif data:
                await program.write(data)
            else:
                program.end_input()


async def _ping(wire: Wire) -> None:
    """End when the client is gone, which nobody sees while nothing is read from it."""
    while True:
        await asyncio.sleep(_PING_SECONDS)
        await wire.ping()


async def _tell(program: Program, wire: Wire, outputs: tuple[str, ...], end: Callable[[Ended], Obj]) -> None:
    async def carry(name: str) -> None:
        while data := await program.read(name):
            await wire.output(name, data)
        await wire.output(name, b"")

    tasks = [asyncio.create_task(carry(name)) for name in outputs]
    try:
        await asyncio.gather(*tasks)
        ended = await program.wait()
    finally:
        for task in tasks:
            task.cancel()
    status = end(ended)
    if wire.dialect.status:
        await wire.finish(msgspec.json.encode(status))
    else:
        await wire.finish(b"" if status["status"] == "Success" else status["message"].encode())


def _resize(program: Program, data: bytes) -> None:
    try:
        size = msgspec.json.decode(data.splitlines()[-1])
        program.resize(int(size["Height"]), int(size["Width"]))
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError):
        return  # what is no size changes none
