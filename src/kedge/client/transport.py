"""HTTP/1.1 to one server over connections that are kept, for `httpx`: the part of its work that a controller pays for.

A hub asks its API server a few hundred times a second. Through httpx's own transport each request takes about a millisecond of
processor time, most of it in a parser and in layers that know every kind of HTTP; here it is less than half of that (decision
0022). What this does not speak, a proxy or HTTP/2, is left to httpx's.

An answer is read as its head says: ``Content-Length``, chunks, or until the end. A connection is used again when its last answer
was read whole; one that the server has closed meanwhile, or that nobody used for a while, is not.
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import httpx

MOST = 64
"""Requests whose answers are waited for at once; others wait for their turn. Answers that have begun (watches) do not count."""
KEPT_SECONDS = 30.0
_PIECE = 1 << 16

Headers = list[tuple[bytes, bytes]]


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection, and since when nobody has used it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether it may still be there."""
        return not (self.reader.at_eof() or self.writer.is_closing() or time.monotonic() - self.idle_since > KEPT_SECONDS)


class KeptConnections(httpx.AsyncBaseTransport):
    """Speaks to the one server that its requests name.

    Args:
        context: The settings of TLS; ``None`` to speak without.
        socket_options: For each connection.
    """

    def __init__(self, context: ssl.SSLContext | None, socket_options: Sequence[tuple[int, int, int]] = ()) -> None:
        self._context = context
        self._options = tuple(socket_options)
        self._idle: deque[_Connection] = deque()
        self._turns = asyncio.Semaphore(MOST)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to come.

        Raises:
            httpx.RequestError: What httpx's own transport raises.
        """
        content = await request.aread()
        timeouts = request.extensions.get("timeout") or {}
        async with self._turns:
            connection = await self._connection(request, timeouts.get("connect"))
            try:
                await self._send(connection, request, content, timeouts.get("write"))
                async with asyncio.timeout(timeouts.get("read")):
                    status, headers = await _head(connection.reader)
            except BaseException as error:  # noqa: BLE001  # raised again, as httpx calls it
                connection.writer.close()
                _explain(error, request)
        body = _Body(self, connection, request, timeouts.get("read"), _framing(status, headers, request))
        return httpx.Response(status, headers=headers, stream=body, request=request)

    async def aclose(self) -> None:
        """Close the connections that nobody uses; the others are closed when their answers are."""
        self._closed = True
        while self._idle:
            self._idle.pop().writer.close()

    def keep(self, connection: _Connection) -> None:
        """Take back a connection whose answer was read whole."""
        if self._closed:
            connection.writer.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    async def _connection(self, request: httpx.Request, seconds: float | None) -> _Connection:
        while self._idle:
            found = self._idle.pop()
            if found.usable:
                return found
            found.writer.close()
        host = request.url.host
        port = request.url.port or (443 if self._context is not None else 80)
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=self._context, server_hostname=host if self._context is not None else None, limit=_PIECE
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {host}:{port} within {seconds} s", request=request) from error
        except OSError as error:  # an ssl.SSLError is one too
            raise httpx.ConnectError(str(error) or type(error).__name__, request=request) from error
        found = writer.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in self._options:
                found.setsockopt(*option)
        return _Connection(reader, writer)

    async def _send(self, connection: _Connection, request: httpx.Request, content: bytes, seconds: float | None) -> None:
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%b: %b" % (name, value) for name, value in request.headers.raw]
        connection.writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        if len(content) > _PIECE:
            async with asyncio.timeout(seconds):
                await connection.writer.drain()


class _Body(httpx.AsyncByteStream):
    """The body of one answer."""

    def __init__(
        self,
        owner: KeptConnections,
        connection: _Connection,
        request: httpx.Request,
        seconds: float | None,
        framing: tuple[int | None, bool],
    ) -> None:
        self._owner, self._connection, self._request, self._seconds = owner, connection, request, seconds
        self._length, self._keep = framing
        self._whole = self._length == 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._whole:
            return
        pieces = _chunks(self._connection.reader) if self._length is None else _pieces(self._connection.reader, self._length)
        try:
            while True:
                async with asyncio.timeout(self._seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                yield piece
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:  # a TimeoutError is an OSError
            _explain(error, self._request)
        self._whole = True

    async def aclose(self) -> None:
        """Give the connection back, or close it when there is more to come."""
        if self._whole and self._keep:
            self._owner.keep(self._connection)
            self._keep = False
        else:
            self._connection.writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[int, Headers]:
    """Read the status and the headers of an answer."""
    while True:
        first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError(f"this is no HTTP/1: {first[:40]!r}")
        if (status := int(rest[:3])) >= 200:  # below, the answer is still to come
            break
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise ValueError(f"this is no header: {line[:40]!r}")
        headers.append((name, value.strip()))
    return status, headers


def _framing(status: int, headers: Headers, request: httpx.Request) -> tuple[int | None, bool]:
    """The length of an answer's body (``None`` for chunks, -1 for all that comes), and whether its connection may be kept."""
    found = {name.lower(): value.lower() for name, value in headers}
    keep = found.get(b"connection") != b"close"
    if request.method == "HEAD" or status in {204, 304}:
        return 0, keep
    if found.get(b"transfer-encoding", b"").endswith(b"chunked"):
        return None, keep
    length = found.get(b"content-length", b"")
    return (int(length), keep) if length.isdigit() else (-1, False)


async def _pieces(reader: asyncio.StreamReader, length: int) -> AsyncGenerator[bytes]:
    """A body of so many bytes, as they come; all that comes for -1."""
    while length:
        piece = await reader.read(_PIECE if length < 0 else min(length, _PIECE))
        if not piece:
            if length < 0:
                return
            raise EOFError("the connection ended in the middle of an answer")
        length -= len(piece) if length > 0 else 0
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    """A body in chunks, as they come."""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        if size < 0:
            raise ValueError("a chunk has a size below 0")
        async for piece in _pieces(reader, size):
            yield piece
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("a chunk is longer than it said")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers


def _explain(error: BaseException, request: httpx.Request) -> NoReturn:
    """Raise an error as httpx's own transport calls it."""
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        raise httpx.ReadTimeout("the server said nothing for too long", request=request) from error
    if isinstance(error, EOFError):  # asyncio.IncompleteReadError is one
        raise httpx.RemoteProtocolError("the server ended the connection without a whole answer", request=request) from error
    if isinstance(error, ValueError | asyncio.LimitOverrunError):
        raise httpx.RemoteProtocolError(text, request=request) from error
    if isinstance(error, OSError):
        raise httpx.ReadError(text, request=request) from error
    raise error
