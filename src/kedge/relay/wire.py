"""As much of HTTP/1.1 as the relay speaks: heads and their limits, bodies of a known length, answers."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

MAX_HEAD = 32 << 10  # bytes: a token has 1 to 4 kB
BUFFER = 64 << 10  # bytes that wait for us on one connection; the system holds back the rest
_LINGER_SECONDS = 5.0
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"})
Headers = List[Tuple[str, str]]


class Refused(Exception):
    """A request that is answered here and goes no further.

    Args:
        status: The answer's.
        reason: What is wrong with it, and what to do.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(self, status: int, reason: str, retry_after: Optional[int] = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class Head(NamedTuple):
    """The first part of a request.

    Attributes:
        method: Such as ``POST``.
        target: The path, as it was sent.
        headers: In their order.
        size: Bytes of the body.
        keep: Whether another request may follow on the connection.
    """

    method: str
    target: str
    headers: Headers
    size: int
    keep: bool

    def get(self, name: str) -> str:
        """The value of a header; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


async def read_head(reader: asyncio.StreamReader) -> Optional[Head]:
    """Read the head of the next request; ``None`` where the other side has ended the connection.

    Raises:
        Refused: It is none, or over a limit.
    """
    try:
        data = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise Refused(400, "the request ends in its head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Refused(431, "the request's head is too large") from error
    if len(data) > MAX_HEAD:
        raise Refused(431, f"the request's head is too large: {len(data)} bytes; {MAX_HEAD} are read")
    lines = data.decode("latin-1").split("\r\n")
    first = lines[0].split(" ")
    if len(first) != 3 or first[0] not in _METHODS or not first[2].startswith("HTTP/1."):
        raise Refused(400, "this is no request of HTTP/1.1")
    headers: Headers = []
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or any(ord(char) < 32 and char != "\t" for char in line):
            raise Refused(400, "a header cannot be read")
        headers.append((name, value.strip()))
    return _checked(first[0], first[1], first[2], headers)


def _checked(method: str, target: str, version: str, headers: Headers) -> Head:
    sizes = {value for name, value in headers if name.lower() == "content-length"}
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        raise Refused(411, "a body must say its length: send Content-Length")
    if len(sizes) > 1 or not all(size.isascii() and size.isdigit() and len(size) < 16 for size in sizes):
        raise Refused(400, "Content-Length is no number of bytes")
    asked = next((value.lower() for name, value in headers if name.lower() == "connection"), "")
    return Head(method, target, headers, int(sizes.pop()) if sizes else 0, version == "HTTP/1.1" and "close" not in asked)


def head_of_answer(status: int, headers: Headers, size: int, *, keep: bool = False) -> bytes:
    """The head of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Answer"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {size}")
    lines.append("Connection: keep-alive" if keep else "Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def refusal(error: Refused, headers: Sequence[Tuple[str, str]] = ()) -> bytes:
    """The answer to what goes no further: a Kubernetes ``Status``, as the hub's own refusals are."""
    said: Dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body = json.dumps(dict(said, message=error.reason, code=error.status)).encode()
    more = [("Content-Type", "application/json")]
    if error.retry_after is not None:
        more.append(("Retry-After", str(error.retry_after)))
    return head_of_answer(error.status, [*more, *headers], len(body)) + body


async def copy(
    reader: asyncio.StreamReader, writer: Optional[asyncio.StreamWriter], size: int, patience: float, *, wait: bool = True
) -> None:
    """Pass bytes on as they come.

    Args:
        reader: Where they come from.
        writer: Where they go; ``None`` for nowhere. When that end has gone, they are read all the same.
        size: How many.
        patience: Seconds within which either side must go on.
        wait: Whether to wait until the other side has taken them: bytes that are few may lie here.

    Raises:
        IncompleteReadError: There were fewer.
        TimeoutError: One side does not go on.
    """
    left = size
    while left:
        piece = await asyncio.wait_for(reader.read(min(left, BUFFER)), patience)
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        if writer is None or writer.is_closing():
            continue
        writer.write(piece)
        if wait:
            try:
                await asyncio.wait_for(writer.drain(), patience)
            except OSError:
                writer = None


async def finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection after its answer; what the other side still sends is let go, or the answer would be lost with it."""
    try:
        await asyncio.wait_for(writer.drain(), _LINGER_SECONDS)
        if writer.can_write_eof():
            writer.write_eof()
        await asyncio.wait_for(_let_go(reader), _LINGER_SECONDS)
    except (OSError, asyncio.TimeoutError):
        pass


async def _let_go(reader: asyncio.StreamReader) -> None:
    while await reader.read(BUFFER):
        pass
