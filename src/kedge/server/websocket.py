"""The server's side of a WebSocket (RFC 6455), over a connection that was taken over: messages in and out, pings answered.

Extensions, such as compression, are not negotiated. A reader that is slow holds the client back, and a client that is slow holds
whoever writes back, so that neither costs memory.
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import Collection, Sequence

from starlette.types import Scope

from kedge.errors import BadRequest
from kedge.server.requests import header
from kedge.server.upgrades import UPGRADE, Upgrade

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455, section 1.3
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_LONGEST_CONTROL = 125
# The longest message that is taken; a client that sends more at once is refused.
LONGEST_MESSAGE = 16 << 20
NORMAL, FAULTY, TOO_LONG = 1000, 1002, 1009
# How long a client has to say goodbye too.
_GOODBYE_SECONDS = 5.0


class _Fault(Exception):
    """What came is against the protocol; has the code to close with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def asks(scope: Scope) -> bool:
    """Whether a request asks for a WebSocket."""
    return UPGRADE in scope and header(scope, b"upgrade").lower() == "websocket"


def offered(scope: Scope) -> list[str]:
    """The protocols that a client offers to speak over its WebSocket, the dearest first."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"sec-websocket-protocol"]
    return [each.strip() for value in values for each in value.split(",") if each.strip()]


def chosen(offers: Sequence[str], known: Collection[str]) -> str:
    """The first protocol that both sides know; ``""`` where the client offers none.

    Raises:
        BadRequest: The client speaks none that is known.
    """
    if not offers:
        return ""
    for each in offers:
        if each in known:
            return each
    raise BadRequest(f"unable to upgrade: none of the protocols {', '.join(offers)} is spoken here: {', '.join(known)}.")


def accept(scope: Scope, protocol: str) -> "WebSocket":
    """Begin.

    Args:
        scope: Of a request that `asks`.
        protocol: What is spoken over it; may be empty.

    Raises:
        BadRequest: The request is no proper one.
    """
    key = header(scope, b"sec-websocket-key")
    if header(scope, b"sec-websocket-version") != "13" or not key:
        raise BadRequest("the request for a WebSocket has no Sec-WebSocket-Key, or another Sec-WebSocket-Version than 13.")
    proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324  # the protocol's, no secret
    headers = [("Sec-WebSocket-Accept", proof)]
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    upgrade: Upgrade = scope[UPGRADE]
    return WebSocket(*upgrade.switch("websocket", headers))


def _check_order(code: int, *, begun: bool) -> None:
    if (code == _CONTINUATION) != begun:
        raise _Fault(FAULTY, "a part of no message, or a message within another")


class WebSocket:
    """One that is open.

    Args:
        reader: What comes.
        writer: Where to write to.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closing = False
        self._closed = False

    async def receive(self) -> bytes | None:
        """The next message; ``None`` when the client has closed, or is gone."""
        parts: bytearray | None = None
        try:
            while not self._closed:
                final, code, payload = await self._frame(len(parts or b""))
                if code < _CLOSE:
                    _check_order(code, begun=parts is not None)
                    if final and parts is None:
                        return payload
                    parts = (parts or bytearray()) + payload
                    if final:
                        return bytes(parts)
                elif code == _PING:
                    await self._write(_PONG, payload)
                elif code == _CLOSE:
                    self._closed = True
                    await self.close(int.from_bytes(payload[:2], "big") or NORMAL)
        except _Fault as fault:
            await self.close(fault.code, str(fault))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self._closed = True
        return None

    async def _frame(self, before: int) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        code, size = first & 0x0F, second & 0x7F
        if first & 0x70 or code not in {_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG}:
            raise _Fault(FAULTY, "a frame of a kind that is not known")
        if not second & _MASKED:
            raise _Fault(FAULTY, "a client's frame must be masked")
        if size == 126:
            size = int.from_bytes(await self._reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._reader.readexactly(8), "big")
        if code >= _CLOSE and (size > _LONGEST_CONTROL or not first & _FINAL):
            raise _Fault(FAULTY, "a control frame is long, or in parts")
        if before + size > LONGEST_MESSAGE:
            raise _Fault(TOO_LONG, f"a message is longer than {LONGEST_MESSAGE} bytes")
        mask = await self._reader.readexactly(4)
        return bool(first & _FINAL), code, unmasked(await self._reader.readexactly(size), mask)

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """Send a message; returns when the client is not far behind.

        Raises:
            ConnectionError: It is gone.
        """
        await self._write(_TEXT if text else _BINARY, data)

    async def ping(self) -> None:
        """Ask whether the client is there; raises `ConnectionError` some time after it has gone."""
        await self._write(_PING, b"")

    async def _write(self, code: int, data: bytes) -> None:
        if self._closing and code != _CLOSE:
            return
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", _FINAL | code, size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", _FINAL | code, 126, size)
        else:
            head = struct.pack("!BBQ", _FINAL | code, 127, size)
        self._writer.write(head + data)
        await self._writer.drain()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, once; what was sent before arrives."""
        if self._closing:
            return
        try:
            await self._write(_CLOSE, code.to_bytes(2, "big") + reason.encode()[: _LONGEST_CONTROL - 2])
        except ConnectionError:
            self._closed = True
        self._closing = True

    async def finish(self) -> None:
        """Say goodbye, and let the client say so too: a connection that is cut earlier may lose what was sent last."""
        await self.close()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                while await self.receive() is not None:
                    pass
        except TimeoutError:
            return


def unmasked(data: bytes, mask: bytes) -> bytes:
    """A payload without its mask, or with it.

    Examples:
        >>> unmasked(unmasked(b"hello", b"abcd"), b"abcd")
        b'hello'
    """
    size = len(data)
    whole = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ whole).to_bytes(size, "little")
