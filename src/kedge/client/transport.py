"""HTTP/1.1 to one server over connections that are kept, for `httpx`: the part of its work that a controller pays for.

A hub asks its API server a few hundred times a second. Through httpx and its own transport each request takes a millisecond of
processor time, most of it in a parser and in layers that know every kind of HTTP; here it is a fifth of that (decision 0020).
What this does not speak, a proxy or HTTP/2, is left to httpx's.

An answer is read as its head says: ``Content-Length``, chunks, or until the end. A connection is used again when its last answer
was read whole; one that the server has closed meanwhile, or that nobody used for a while, is not.
"""

import asyncio
import socket
import ssl
import time
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, urlencode

import httpx

MOST = 64
"""Requests whose answers are waited for at once; others wait for their turn. Answers that have begun (watches) do not count."""
KEPT_SECONDS = 8.0  # less than what lies between us and a server, such as HAProxy, lets a quiet connection stay
_PIECE = 1 << 16
_GOODBYE_SECONDS = 1.0

_IN_PATHS = "/:@!$&'()*+,;=-._~%"

Headers = dict[bytes, bytes]
"""By their names in small letters; of several of one name, which no API server sends, the last."""
Timeouts = Mapping[str, float | None]
"""Seconds by ``connect``, ``read`` and ``write``, as httpx has them."""
_Request = tuple[str, bytes, Sequence[tuple[bytes, bytes]], bytes]


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection, which settings of TLS it was made with, and since when nobody has used it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    settings: int
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether it may still be there."""
        return not (self.reader.at_eof() or self.writer.is_closing() or time.monotonic() - self.idle_since > KEPT_SECONDS)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        status: Its code.
        body: As it was before it was compressed.
        retry_after: What the header of that name says, or ``""``.
    """

    status: int
    body: bytes
    retry_after: str = ""


class KeptConnections(httpx.AsyncBaseTransport):
    """Speaks to one server.

    Args:
        server: Its address; what comes after the host is where `ask` begins its paths.
        context: The settings of TLS; ``None`` to speak without.
        socket_options: For each connection.
        name: What the server's certificate must say, when that is not its address.
    """

    def __init__(
        self,
        server: str,
        context: ssl.SSLContext | None,
        socket_options: Sequence[tuple[int, int, int]] = (),
        *,
        name: str | None = None,
    ) -> None:
        url = httpx.URL(server)
        self._name = name or url.host
        self._host, self._port = url.host, url.port or (443 if context is not None else 80)
        self._netloc, self._prefix = url.netloc, url.path.rstrip("/")
        self._context = context
        self._options = tuple(socket_options)
        self._idle: deque[_Connection] = deque()
        self._turns = asyncio.Semaphore(MOST)
        self._closed = False
        self._settings = 0

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        content: bytes | None,
        *,
        timeouts: Timeouts,
    ) -> Answer:
        """Send a request and read its answer, without what httpx does besides: cookies, redirects, and objects for all of it.

        Args:
            method: Such as ``GET``.
            path: Below the server's address; what has no place in one is escaped.
            query: Its parameters.
            headers: All but ``Host`` and those about the body's length.
            content: The body, if there is one.
            timeouts: As httpx's.

        Raises:
            httpx.RequestError: What httpx's own transport raises.
        """
        target = quote(self._prefix + path, safe=_IN_PATHS)
        if query:
            target += f"?{urlencode(query, quote_via=quote)}"
        sent = [(b"Host", self._netloc), (b"Accept-Encoding", b"gzip")]
        sent += [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        if any(b"\r" in value or b"\n" in value for _, value in sent):
            raise ValueError("a header has a line end in it")
        if content is not None or method not in {"GET", "HEAD"}:
            sent.append((b"Content-Length", b"%d" % len(content or b"")))
        connection, status, found = await self._exchange((method, target.encode("ascii"), sent, content or b""), timeouts)
        length, keep = _framing(status, found, method)
        try:
            body = await _whole(connection.reader, length, timeouts.get("read"))
            if found.get(b"content-encoding") == b"gzip":
                body = zlib.decompress(body, wbits=31)
        except BaseException as error:  # noqa: BLE001  # raised again, as httpx calls it
            connection.writer.close()
            _explain(error)
        if keep:
            self.keep(connection)
        else:
            connection.writer.close()
        return Answer(status, body, found.get(b"retry-after", b"").decode("ascii", "replace"))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx's and return its answer, whose body is still to come.

        Raises:
            httpx.RequestError: What httpx's own transport raises.
        """
        timeouts: Timeouts = request.extensions.get("timeout") or {}
        sent = request.method, request.url.raw_path, request.headers.raw, await request.aread()
        connection, status, found = await self._exchange(sent, timeouts)
        body = _Body(self, connection, timeouts.get("read"), _framing(status, found, request.method))
        return httpx.Response(status, headers=list(found.items()), stream=body, request=request)

    async def aclose(self) -> None:
        """Close the connections that nobody uses; the others are closed when their answers are."""
        self._closed = True
        writers = [connection.writer for connection in self._idle]
        self._idle.clear()
        for writer in writers:
            writer.close()
        # Until then a loop that ends would leave them half closed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    def forget(self) -> None:
        """Use no connection again that there is: the settings of TLS are others now. Answers that have begun are read on."""
        self._settings += 1
        while self._idle:
            self._idle.pop().writer.close()

    @property
    def kept(self) -> int:
        """How many connections wait to be used again."""
        return len(self._idle)

    def keep(self, connection: _Connection) -> None:
        """Take back a connection whose answer was read whole."""
        if self._closed or connection.settings != self._settings:
            connection.writer.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    async def _exchange(self, sent: _Request, timeouts: Timeouts) -> tuple[_Connection, int, Headers]:
        """Send a request, and read the head of its answer."""
        method, target, headers, content = sent
        lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target), *(b"%b: %b" % header for header in headers)]
        async with self._turns:
            connection = await self._connection(timeouts.get("connect"))
            try:
                connection.writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
                if len(content) > _PIECE:
                    async with asyncio.timeout(timeouts.get("write")):
                        await connection.writer.drain()
                async with asyncio.timeout(timeouts.get("read")):
                    status, found = await _head(connection.reader)
            except BaseException as error:  # noqa: BLE001  # likewise
                connection.writer.close()
                _explain(error)
        return connection, status, found

    async def _connection(self, seconds: float | None) -> _Connection:
        while self._idle:
            found = self._idle.pop()
            if found.usable:
                return found
            found.writer.close()
        name = self._name if self._context is not None else None
        settings = self._settings
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._context, server_hostname=name, limit=_PIECE
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {self._host}:{self._port} within {seconds} s") from error
        except OSError as error:  # an ssl.SSLError is one too
            raise httpx.ConnectError(str(error) or type(error).__name__) from error
        found = writer.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in self._options:
                found.setsockopt(*option)
        return _Connection(reader, writer, settings)


class _Body(httpx.AsyncByteStream):
    """The body of one answer, as it comes."""

    def __init__(
        self, owner: KeptConnections, connection: _Connection, seconds: float | None, framing: tuple[int | None, bool]
    ) -> None:
        self._owner, self._connection, self._seconds = owner, connection, seconds
        self._length, self._keep = framing
        self._whole = self._length == 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._whole:
            return
        pieces = _content(self._connection.reader, self._length)
        try:
            while True:
                async with asyncio.timeout(self._seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                yield piece
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:  # a TimeoutError is an OSError
            _explain(error)
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
    headers: Headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise ValueError(f"this is no header: {line[:40]!r}")
        headers[name.lower()] = value.strip()
    return status, headers


def _framing(status: int, headers: Headers, method: str) -> tuple[int | None, bool]:
    """The length of an answer's body (``None`` for chunks, -1 for all that comes), and whether its connection may be kept."""
    keep = headers.get(b"connection", b"").lower() != b"close"
    if method == "HEAD" or status in {204, 304}:
        return 0, keep
    if headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
        return None, keep
    length = headers.get(b"content-length", b"")
    return (int(length), keep) if length.isdigit() else (-1, False)


def _content(reader: asyncio.StreamReader, length: int | None) -> AsyncGenerator[bytes]:
    return _chunks(reader) if length is None else _pieces(reader, length)


async def _whole(reader: asyncio.StreamReader, length: int | None, seconds: float | None) -> bytes:
    """A body, for whose pieces the server has so long each."""
    pieces: list[bytes] = []
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(seconds) as limit:
        async for piece in _content(reader, length):
            pieces.append(piece)
            if seconds is not None:
                limit.reschedule(clock() + seconds)
    return b"".join(pieces)


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


def _explain(error: BaseException) -> NoReturn:
    """Raise an error as httpx's own transport calls it."""
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        raise httpx.ReadTimeout("the server said nothing for too long") from error
    if isinstance(error, EOFError):  # asyncio.IncompleteReadError is one
        raise httpx.RemoteProtocolError("the server ended the connection without a whole answer") from error
    if isinstance(error, ValueError | asyncio.LimitOverrunError | zlib.error):
        raise httpx.RemoteProtocolError(text) from error
    if isinstance(error, OSError):
        raise httpx.ReadError(text) from error
    raise error
