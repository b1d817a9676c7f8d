"""Connections that stop speaking HTTP: WebSockets, and the SPDY of older Kubernetes clients.

Uvicorn hands a connection whose request asks for an upgrade to the class that its configuration names for WebSockets; that is
`Upgrade`. To the application such a request is an ordinary one, so whoever guards, authenticates, authorises or counts requests
does so with these too, and a refusal is an ordinary answer. Its scope has one more key, `UPGRADE`: whoever serves it takes the
connection over with `Upgrade.switch`, and reads and writes bytes from then on.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

UPGRADE = "kedge.upgrade"
"""The key of a scope under which the `Upgrade` stands."""
ACCEPTED = (b"websocket", b"spdy/3.1")
"""What a request may ask for, in small letters."""
# Kept of what a client sends and nobody has read: twice as much at most.
_LIMIT = 1 << 16


class Upgrade(asyncio.StreamReaderProtocol):
    """One connection, from its request to its end.

    Args:
        config: Uvicorn's.
        server_state: Uvicorn's: its connections and tasks.
        app_state: Uvicorn's; copied into the scope.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=_LIMIT, loop=loop)
        super().__init__(self._reader, loop=loop)
        self._app = cast("ASGIApp", config.loaded_app)
        self._state = server_state
        self._app_state = app_state
        self._events = loop
        self._writer: asyncio.StreamWriter | None = None
        self._head = True
        self._asked = False
        self._switched = False
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._writer = asyncio.StreamWriter(cast("asyncio.WriteTransport", transport), self, self._reader, self._events)
        self._state.connections.add(cast("Any", self))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`; what comes first is the request's head, as a whole."""
        if not self._head:
            super().data_received(data)
            return
        self._head = False
        task = self._events.create_task(self._run(self._scope(data)))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._state.connections.discard(cast("Any", self))
        self._gone.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: close, once what was written is sent."""
        self._output.close()

    def switch(self, protocol: str, headers: list[tuple[str, str]]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Answer that the protocol changes, and take the connection over.

        Args:
            protocol: The one that begins.
            headers: Further ones of the answer.

        Returns:
            What comes, and where to write to. Reading holds the client back when nobody reads.
        """
        self._switched = True
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {protocol}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._output.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self._reader, self._output

    @property
    def _output(self) -> asyncio.StreamWriter:
        assert self._writer is not None  # noqa: S101  # made with the connection
        return self._writer

    def _scope(self, head: bytes) -> Scope:
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ", 2)
        raw, _, query = target.partition(b"?")
        transport = self._output.transport
        headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines if line)]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": get_local_addr(cast("asyncio.Transport", transport)),
            "client": get_remote_addr(cast("asyncio.Transport", transport)),
            "scheme": "https" if is_ssl(cast("asyncio.Transport", transport)) else "http",
            "method": method.decode("ascii"),
            "root_path": "",
            "path": unquote(raw.decode("ascii")),
            "raw_path": raw,
            "query_string": query,
            "headers": headers,
            "state": self._app_state.copy(),
            UPGRADE: self,
        }

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except ConnectionError:
            return  # the client has gone
        finally:
            self._output.close()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        """Answer as to any other request; only where the protocol was not changed."""
        if self._switched or self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            status = HTTPStatus(message["status"])
            lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode()), b"connection: close"]
            lines += [name + b": " + value for name, value in message.get("headers", ())]
            self._output.write(b"\r\n".join([*lines, b"", b""]))
        elif message["type"] == "http.response.body":
            self._output.write(message.get("body", b""))
            await self._output.drain()
