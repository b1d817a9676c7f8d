"""Asks a server how it is by gRPC's health protocol (``grpc.health.v1.Health/Check``): one call over HTTP/2, as the kubelet's.

Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md over
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. The request is one text, the answer one number.
"""

import asyncio
from urllib.parse import unquote

from kedge.node.dialing import Dial, plainly
from kedge.node.http_get import PROBE_AGENT, address_of, said_of
from kedge.node.status import spoken

_SERVING = 1
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
_DEADLINE_EXCEEDED, _UNIMPLEMENTED, _UNAVAILABLE = 4, 12, 14
_HEADERS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/grpc.health.v1.Health/Check"),
    ("content-type", "application/grpc"),
    ("user-agent", PROBE_AGENT),
    ("te", "trailers"),
)
_CHUNK = 1 << 14
_PREFIX = 5  # whether it is compressed, and its length


async def check(host: str, port: int, service: str, seconds: int, dial: Dial = plainly) -> tuple[bool, str]:
    """Ask once.

    Args:
        host: Where the server is.
        port: Where it listens.
        service: Of which of its services; empty for the server as a whole.
        seconds: How long it may take.
        dial: Connects.

    Returns:
        Whether it serves, and otherwise why not, in the kubelet's words.
    """
    address = address_of(host, port)
    connected = False
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await dial(host, port)
            connected = True
            try:
                code, text, body = await _call(reader, writer, address, service)
            finally:
                writer.transport.abort()
    except TimeoutError:
        if not connected:
            return False, f'timeout: failed to connect service "{address}" within {spoken(seconds)}: context deadline exceeded'
        code, text, body = _DEADLINE_EXCEEDED, "context deadline exceeded", b""
    except OSError as error:
        said = f'connection error: desc = "transport: Error while dialing: {said_of(error, host, port)}"'
        return False, f'error: failed to connect service at "{address}": {said}'
    return _judge(code, text, body, seconds)


def _judge(code: int, text: str, body: bytes, seconds: int) -> tuple[bool, str]:
    said = f"rpc error: code = {_CODES[code] if code < len(_CODES) else f'Code({code})'} desc = {text}"
    if code == _UNIMPLEMENTED:
        return False, f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {text}"
    if code == _DEADLINE_EXCEEDED:
        return False, f"timeout: health rpc did not complete within {spoken(seconds)}: {said}"
    if code:
        return False, f"error: health rpc probe failed: {said}"
    # One field, a number below 128; without it, it is 0.
    status = body[_PREFIX + 1] if body[_PREFIX : _PREFIX + 1] == b"\x08" else 0
    if status != _SERVING:
        name = _STATUSES[status] if status < len(_STATUSES) else str(status)
        return False, f'service unhealthy (responded with "{name}")'
    return True, ""


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, service: str) -> tuple[int, str, bytes]:
    """Make the call; its code, its message and the answer's bytes."""
    # Only Pods with such probes need it, and a host without them need not hold it in memory.
    from h2 import config, connection, events, exceptions  # noqa: PLC0415

    talk = connection.H2Connection(config.H2Configuration(client_side=True, header_encoding="utf-8"))
    talk.initiate_connection()
    talk.send_headers(1, [*_HEADERS[:3], (":authority", address), *_HEADERS[3:]])
    talk.send_data(1, _request(service), end_stream=True)
    headers: dict[str, str] = {}
    body = b""
    while True:
        writer.write(talk.data_to_send())
        data = await reader.read(_CHUNK)
        if not data:
            return _UNAVAILABLE, "error reading from server: EOF", b""
        try:
            heard = talk.receive_data(data)
        except exceptions.ProtocolError as error:
            return _UNAVAILABLE, f'connection error: desc = "{error}"', b""
        for event in heard:
            if isinstance(event, events.ResponseReceived | events.TrailersReceived):
                headers |= {str(name): str(value) for name, value in event.headers or ()}
            elif isinstance(event, events.DataReceived):
                body += event.data or b""
            elif isinstance(event, events.StreamReset | events.ConnectionTerminated):
                return _UNAVAILABLE, f"stream terminated by the server with error code {event.error_code}", b""
            elif isinstance(event, events.StreamEnded):
                return _ended(headers, body)


def _ended(headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
    if "grpc-status" not in headers:
        return 2, f"unexpected HTTP status code received from server: {headers.get(':status', '')}", b""
    return int(headers["grpc-status"]), unquote(headers.get("grpc-message", "")), body


def _request(service: str) -> bytes:
    """A message of one text, the first field, behind its length."""
    text = service.encode()
    message = b"\x0a" + _varint(len(text)) + text if text else b""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
