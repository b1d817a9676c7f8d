"""``pods/NAME/portforward``: connections of a client's machine, carried to ports at which a Pod listens.

Three ways, in the order in which they came to be: SPDY after an upgrade of the request; a WebSocket with two channels for each
port, data and errors, which the Python client speaks; and SPDY within a WebSocket, which kubectl speaks (KEP-4006). In SPDY each
connection is two streams that name the same request, and the port is a header of theirs.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from kedge.kube.kinds import Obj
from kedge.server.commands import Dialect, packed, unpacked
from kedge.server.processes import Processes
from kedge.server.spdy import Session, Stream
from kedge.server.websocket import WebSocket

PROTOCOL = "portforward.k8s.io"
TUNNELLED = f"SPDY/3.1+{PROTOCOL}"
CHANNELS = {"v4.channel.k8s.io": Dialect(), "v4.base64.channel.k8s.io": Dialect(base64=True), "": Dialect()}
_CHUNK = 1 << 16
# Messages for one port that its connection has not taken yet, with which no more are read.
_MOST_WAITING = 4
_GOODBYE_SECONDS = 5.0


@dataclass(slots=True)
class _Pair:
    """The two streams of one connection."""

    data: Stream | None = None
    error: Stream | None = None


@dataclass(slots=True)
class Forwarder:
    """Forwards ports of one Pod.

    Attributes:
        processes: Connects.
        pod: The Pod as stored.
    """

    processes: Processes
    pod: Obj
    _pairs: dict[str, _Pair] = field(default_factory=dict[str, _Pair])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def spdy(self, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]) -> None:
        """Serve SPDY until the client goes."""
        try:
            await Session(read, write, self._opened).run()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _opened(self, stream: Stream) -> None:
        request, kind = stream.headers.get("requestid", ""), stream.headers.get("streamtype", "")
        pair = self._pairs.setdefault(request, _Pair())
        if kind == "data":
            pair.data = stream
        else:
            pair.error = stream
        if pair.data is not None and pair.error is not None:
            del self._pairs[request]
            task = asyncio.create_task(self._carry(pair.data, pair.error))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, data: Stream, error: Stream) -> None:
        """Carry one connection to its end."""
        text = data.headers.get("port", "")
        with contextlib.suppress(ConnectionError):  # of the client's: it is gone, and with it everything
            try:
                reader, writer = await self.processes.connect(self.pod, _port(text))
            except (OSError, ValueError) as why:
                await error.write(_failed(self.pod, text, why))
                await error.close()
                await data.reset()
                return
            await _exchange(reader, writer, data)
            await data.close()
            await error.close()

    async def channels(self, socket: WebSocket, ports: Sequence[int], dialect: Dialect) -> None:
        """Serve a WebSocket whose channels are two for each port, until the client goes or all connections have ended.

        Args:
            socket: The open WebSocket.
            ports: In the order in which the client numbers them.
            dialect: How its messages are written.
        """
        channels = _Channels(socket, dialect)
        for index, port in enumerate(ports):
            for channel in (2 * index, 2 * index + 1):
                await channels.send(channel, port.to_bytes(2, "little"))
        inputs = [_Inbox() for _ in ports]
        tasks = [asyncio.create_task(self._channel(channels, index, port, inputs[index])) for index, port in enumerate(ports)]
        reading = asyncio.create_task(_sort(channels, inputs))
        ended = asyncio.create_task(_all(tasks))
        try:
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await socket.close()
                await asyncio.wait({reading}, timeout=_GOODBYE_SECONDS)
        finally:
            for task in (*tasks, reading, ended):
                task.cancel()
            await asyncio.gather(*tasks, reading, return_exceptions=True)

    async def _channel(self, channels: "_Channels", index: int, port: int, inbox: "_Inbox") -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(inbox):
            try:
                reader, writer = await self.processes.connect(self.pod, port)
            except OSError as why:
                await channels.send(2 * index + 1, _failed(self.pod, str(port), why))
                return
            sending = asyncio.create_task(_send(inbox, writer))
            try:
                while data := await _taken(reader):
                    await channels.send(2 * index, data)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                writer.close()


class _Inbox:
    """What a client has sent for one port; once that is over, what still comes is dropped, so that it holds nothing else up."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._over = False

    async def put(self, data: bytes) -> None:
        if not self._over:
            await self._queue.put(data)

    async def get(self) -> bytes:
        return await self._queue.get()

    def close(self) -> None:
        self._over = True
        while not self._queue.empty():
            self._queue.get_nowait()


class _Channels:
    """Messages of a WebSocket that begin with the number of a channel."""

    def __init__(self, socket: WebSocket, dialect: Dialect) -> None:
        self._socket = socket
        self._base64 = dialect.base64

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send(packed(channel, data, text=self._base64), text=self._base64)

    async def receive(self) -> tuple[int, bytes] | None:
        message = await self._socket.receive()
        return None if message is None else unpacked(message, text=self._base64)


async def _all(tasks: "Sequence[asyncio.Task[None]]") -> None:
    if tasks:
        await asyncio.wait(tasks)


async def _sort(channels: _Channels, inputs: Sequence[_Inbox]) -> None:
    """Give what the client sends to the connections of its ports, until it goes."""
    while (got := await channels.receive()) is not None:
        channel, data = got
        if data and channel >= 0 and channel % 2 == 0 and channel // 2 < len(inputs):
            await inputs[channel // 2].put(data)


async def _send(inbox: _Inbox, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(await inbox.get())
            await writer.drain()
    except OSError:
        inbox.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Stream) -> None:
    """Carry bytes both ways, until the Pod's side has ended, or the client wants no more."""

    async def out() -> None:
        with contextlib.suppress(OSError):  # the Pod's side is over: what it still has to say follows
            while piece := await data.read():
                writer.write(piece)
                await writer.drain()
            if data.closed:
                writer.transport.abort()
            elif writer.can_write_eof():
                writer.write_eof()

    sending = asyncio.create_task(out())
    try:
        while piece := await _taken(reader):
            await data.write(piece)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def _taken(reader: asyncio.StreamReader) -> bytes:
    """What comes next from a Pod; empty when it has closed, in whatever way."""
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise ValueError(f"{text!r} is no port")
    return int(text)


def _failed(pod: Obj, port: str, why: Exception) -> bytes:
    meta = pod["metadata"]
    return f"error forwarding port {port} to pod {meta['name']}, uid {meta['uid']}: {why}".encode()
