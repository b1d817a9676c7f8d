"""One HTTP request as probes and hooks make it: HTTP/1.1, a connection of its own, no certificate checked, at most ten redirects.

What goes wrong is told in the words of the kubelet's own client (Go's), which people know from its events.
"""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import h11

from kedge.node.dialing import Dial, plainly
from kedge.server.processes import unverified

# As whom probes and hooks come: of the version of Kubernetes that this node follows.
PROBE_AGENT, HOOK_AGENT = "kube-probe/1.36", "kube-lifecycle/1.36"
# What is read of an answer.
_MOST_BYTES = 10 << 10
_MOST_REDIRECTS = 10
_CHUNK = 1 << 14
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class HttpFault(Exception):
    """No answer came; says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: Of the answer; of a redirect where it leads to another host.
        body: Its beginning, at most 10 KiB.
    """

    status: int
    body: str


def address_of(host: str, port: int) -> str:
    """A host and a port as addresses are written.

    Examples:
        >>> address_of("127.0.0.1", 80), address_of("::1", 80)
        ('127.0.0.1:80', '[::1]:80')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def said_of(error: OSError, host: str, port: int) -> str:
    """Why a connection was not made, in Go's words."""
    text = str(error.strerror or error).lower()
    # Several addresses were tried: the system's words stand within asyncio's.
    text = "connection refused" if isinstance(error, ConnectionRefusedError) or "connection refused" in text else text
    return f"dial tcp {address_of(host, port)}: connect: {text}"


async def get(url: str, headers: Iterable[tuple[str, str]], dial: Dial = plainly) -> Answer:
    """Ask for a URL, and for what it redirects to on the same host.

    Args:
        url: Whole, with its port.
        headers: Names and values; of ``Host`` the last counts.
        dial: Connects.

    Raises:
        HttpFault: There was no answer.
    """
    asked = list(headers)
    for _ in range(_MOST_REDIRECTS):
        try:
            answer, location = await _once(url, asked, dial)
        except HttpFault as fault:
            raise HttpFault(f'Get "{url}": {fault}') from fault
        if answer.status not in _REDIRECTS or not location:
            return answer
        target = urljoin(url, location)
        if urlsplit(target).hostname != urlsplit(url).hostname:
            return answer
        url = target
    raise HttpFault(f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects')


async def _once(url: str, headers: list[tuple[str, str]], dial: Dial) -> tuple[Answer, str]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        context = unverified() if parts.scheme == "https" else None
        reader, writer = await dial(host, port, context)
    except ssl.SSLError as error:
        plain = error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}
        raise HttpFault("http: server gave HTTP response to HTTPS client" if plain else f"tls: {error.reason}") from error
    except OSError as error:
        raise HttpFault(said_of(error, host, port)) from error
    try:
        named = next((value for name, value in reversed(headers) if name.lower() == "host"), address_of(host, port))
        sent = [("Host", named), *((name, value) for name, value in headers if name.lower() != "host"), ("Connection", "close")]
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection = h11.Connection(h11.CLIENT)
        writer.write(connection.send(h11.Request(method="GET", target=path, headers=sent)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _answer(connection, reader)
    except (h11.LocalProtocolError, h11.RemoteProtocolError) as error:
        raise HttpFault(f"net/http: HTTP/1.x transport connection broken: {error}") from error
    except OSError as error:
        raise HttpFault(f"read tcp {address_of(host, port)}: {str(error.strerror or error).lower()}") from error
    finally:
        writer.transport.abort()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[Answer, str]:
    status, location, body = 0, "", bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK)
            if not data and not status:
                raise HttpFault("EOF")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
            location = next((value.decode("latin-1") for name, value in event.headers if name == b"location"), "")
        elif isinstance(event, h11.Data):
            body += event.data
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or len(body) >= _MOST_BYTES:
            return Answer(status, body[:_MOST_BYTES].decode("utf-8", "replace")), location
