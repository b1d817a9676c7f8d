"""As much of SPDY/3.1 as Kubernetes' clients speak: streams of bytes over one connection, each with a few headers.

The format is that of the SPDY protocol's draft 3.1 (draft-mbelshe-httpbis-spdy-00): frames, and headers compressed with a
dictionary that both sides know. As the Go library on the other side, this one takes no account of window sizes: what holds a fast
sender back is the connection. So a stream that nobody reads holds up the others, as it does between kubectl and a kubelet. A
server only: it opens no streams.
"""

import asyncio
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_FIN = 1
_CANCEL = 5
# A control frame that is longer is refused; so are headers that become longer.
_LONGEST_CONTROL = 1 << 16
# Bytes of one stream that nobody has read yet, with which no more frames are read.
_MOST_UNREAD = 1 << 18
_LARGEST_PIECE = 1 << 15
_MOST_STREAMS = 4096

# Section 2.6.10.1: each word with its length before it, then others as they are.
_WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5
content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after
server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1
url public set-cookie keep-alive origin"""
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information"
    "204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    "501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, "
    "Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack("!I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split()) + _REST.encode()


class SpdyError(Exception):
    """What came is no SPDY/3.1."""


@dataclass(slots=True)
class Stream:
    """One stream that the client has opened.

    Attributes:
        number: Its id.
        headers: Those that it came with, names in small letters.
        session: Where it belongs to.
        ended: Whether the client writes no more.
        closed: Whether this side writes no more.
    """

    number: int
    headers: Mapping[str, str]
    session: "Session"
    ended: bool = False
    closed: bool = False
    _unread: bytearray = field(default_factory=bytearray)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> bytes:
        """What comes next; empty at its end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._unread or self.ended)
            data = bytes(self._unread)
            self._unread.clear()
            self._changed.notify_all()
            return data

    async def write(self, data: bytes) -> None:
        """Send; returns when the client is not far behind."""
        for start in range(0, len(data), _LARGEST_PIECE):
            if not self.closed:
                await self.session.send_data(self.number, data[start : start + _LARGEST_PIECE])

    async def close(self) -> None:
        """Send no more."""
        if not self.closed:
            self.closed = True
            await self.session.send_data(self.number, b"", flags=_FIN)

    async def reset(self) -> None:
        """Have nothing more to do with it."""
        self.closed = True
        await self.end()
        await self.session.reset(self.number)

    async def feed(self, data: bytes) -> None:
        """The client has sent something; returns when there is room for more."""
        async with self._changed:
            self._unread += data
            self._changed.notify_all()
            await self._changed.wait_for(lambda: len(self._unread) < _MOST_UNREAD or self.ended)

    async def end(self) -> None:
        """The client sends no more."""
        async with self._changed:
            self.ended = True
            self._changed.notify_all()


class Session:
    """All streams of a connection.

    Args:
        read: The next bytes of the connection; empty at its end.
        write: Sends bytes; raises `ConnectionError` when the client is gone.
        on_stream: Called with each stream that the client opens, once the client knows that it is accepted.
    """

    def __init__(self, read: Read, write: Write, on_stream: Callable[[Stream], object]) -> None:
        self._read = read
        self._write = write
        self._on_stream = on_stream
        self._streams: dict[int, Stream] = {}
        self._rest = bytearray()
        self._pings = 0
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    async def run(self) -> None:
        """Read until the client closes, or is gone.

        Raises:
            SpdyError: What came cannot be understood.
        """
        try:
            while (head := await self._exactly(8)) is not None:
                first, size = struct.unpack("!II", head)
                flags, size = size >> 24, size & 0xFFFFFF
                if not first >> 31:
                    await self._data(first, flags, size)
                    continue
                kind = first & 0xFFFF
                if first >> 16 & 0x7FFF != _VERSION or size > _LONGEST_CONTROL:
                    raise SpdyError(f"a frame of version {first >> 16 & 0x7FFF} with {size} bytes")
                body = await self._exactly(size)
                if body is None or kind == _GOAWAY:
                    return
                await self._control(kind, flags, body)
        finally:
            for stream in self._streams.values():
                await stream.end()

    async def _exactly(self, size: int) -> bytes | None:
        while len(self._rest) < size:
            data = await self._read()
            if not data:
                return None
            self._rest += data
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    async def _data(self, number: int, flags: int, size: int) -> None:
        stream = self._streams.get(number)
        while size:
            if not self._rest:
                data = await self._read()
                if not data:
                    return
                self._rest += data
            piece = bytes(self._rest[:size])
            del self._rest[: len(piece)]
            size -= len(piece)
            if stream is not None:
                await stream.feed(piece)
        if stream is not None and flags & _FIN:
            await self._ended(stream)

    async def _ended(self, stream: Stream) -> None:
        await stream.end()
        if stream.closed:
            self._streams.pop(stream.number, None)

    async def _control(self, kind: int, flags: int, body: bytes) -> None:
        number = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        if kind == _SYN_STREAM:
            headers = self._headers(body[10:])
            if len(self._streams) >= _MOST_STREAMS:
                await self.reset(number)
                return
            stream = self._streams[number] = Stream(number, headers, self)
            if flags & _FIN:
                await stream.end()
            await self._send(_SYN_REPLY, struct.pack("!I", number) + self._no_headers())
            self._on_stream(stream)
        elif kind == _HEADERS:
            self._headers(body[4:])  # nothing is said with them, but the next ones are compressed with what they said
        elif kind == _RST_STREAM:
            stream = self._streams.pop(number, None)
            if stream is not None:
                stream.closed = True
                await stream.end()
        elif kind == _PING and number % 2:  # a client's; others are answers to ours
            await self._send(_PING, body)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _LONGEST_CONTROL)
            if self._inflate.unconsumed_tail:
                raise SpdyError("headers are too long")
            return _pairs(plain)
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"headers cannot be read: {error}") from error

    def _no_headers(self) -> bytes:
        return self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    async def _send(self, kind: int, body: bytes) -> None:
        await self._write(struct.pack("!HHI", 0x8000 | _VERSION, kind, len(body)) + body)

    async def send_data(self, number: int, data: bytes, *, flags: int = 0) -> None:
        """Send bytes of a stream."""
        await self._write(struct.pack("!II", number, flags << 24 | len(data)) + data)
        stream = self._streams.get(number)
        if flags & _FIN and stream is not None and stream.ended:
            del self._streams[number]

    async def ping(self) -> None:
        """Ask whether the client is there; raises `ConnectionError` some time after it has gone."""
        self._pings += 2  # a server's are even
        await self._send(_PING, struct.pack("!I", self._pings & 0x7FFFFFFF))

    async def reset(self, number: int) -> None:
        """Tell the client that a stream is over, or refused."""
        self._streams.pop(number, None)
        await self._send(_RST_STREAM, struct.pack("!II", number, _CANCEL))


def _pairs(plain: bytes) -> dict[str, str]:
    """Headers as they are once they are not compressed: their number, then names and values with their lengths."""
    count, place = struct.unpack_from("!I", plain)[0], 4
    words: list[str] = []
    for _ in range(2 * count):
        size = struct.unpack_from("!I", plain, place)[0]
        words.append(plain[place + 4 : place + 4 + size].decode())
        place += 4 + size
    return dict(zip((word.lower() for word in words[::2]), words[1::2], strict=True))
