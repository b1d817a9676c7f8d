"""HTTP/1.1 parsed in C, by ``httptools``: what the extra ``cluster`` adds, for hubs that answer hundreds of Pods a second."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kedge.server.connections import connected
from kedge.server.patience import BODY, HeadPatience, Parting
from kedge.server.peers import remembered
from kedge.server.upgrades import ACCEPTED

_LONGEST_HEAD = 64 * 1024  # bytes; the parser itself would keep whatever comes
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HEAD = b"HTTP/1.1 "
_JOINED = 64 * 1024  # bytes; a larger body is not copied to stand behind its head


class Http(HttpToolsProtocol):
    """For requests whose heads have an end, and answers that leave in one piece."""

    _went_on = False  # whether what came last has ended a head, or was a part of a body
    _headed = False  # whether it has ended a head
    _held = 0  # bytes since then, all of which the parser keeps

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has come."""
        self._plain = transport
        self.app_state = remembered(self.app_state, transport)
        self._patience = HeadPatience(transport)
        self.app = connected(self.app, self)
        super().connection_made(cast("asyncio.Transport", _Joining(cast("asyncio.Transport", Parting(transport)))))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._patience.awaits(head=False)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """The connection is another protocol's from now on."""
        self._patience.awaits(head=False)
        self.transport = self._plain
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._went_on = self._headed = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        self._went_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._went_on = True
        super().on_message_complete()
        cycle: Any = self.cycle  # none before the first request that is no upgrade
        if self._headed and cycle is not None and not cycle.more_body:
            cycle.scope[BODY] = cycle.body

    def _should_upgrade(self) -> bool:
        """Whether the connection is `kedge.server.upgrades.Upgrade`'s from now on: for SPDY too."""
        return self._get_upgrade() in ACCEPTED

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self._went_on = self._headed = False
        super().data_received(data)
        self._held = 0 if self._went_on else self._held + len(data)
        self._patience.awaits(head=self._held > 0)
        if self._held > _LONGEST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()


class _Joining:
    """Keeps the head of an answer until its body comes, which is at once: over TLS each piece costs a record and a system call.

    Args:
        transport: What is written to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.abort = transport.abort

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep the head that it is."""
        if self._head:
            if len(data) <= _JOINED:
                data = self._head + data
                self._head = b""
            else:
                self._flush()
        elif data.startswith(_HEAD):
            self._head = data
            asyncio.get_running_loop().call_soon(self._flush)  # of an answer whose body comes later
            return
        self._write(data)

    def close(self) -> None:
        """Close, after what was kept."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._write(head)
