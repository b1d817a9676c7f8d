"""What an answer stands on: the connection, for answers that go on without an end of their own."""

import asyncio
import weakref
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

CONNECTION = "kedge.connection"
"""The key of a scope under which its `Connection` is."""


class _Http(Protocol):
    """Uvicorn's protocols."""

    transport: asyncio.Transport
    flow: FlowControl


class Connection:
    """One connection.

    Args:
        http: What speaks HTTP on it. It is not held: it holds this, and whatever leads in a circle stays until the collector
            comes, which is rare, and with it what TLS keeps in the size of its longest answer.
    """

    def __init__(self, http: _Http) -> None:
        self._http = weakref.ref(http)

    def abort(self) -> None:
        """Cut it, with what was not sent yet."""
        if (http := self._http()) is not None:
            http.transport.abort()

    def write_chunk(self, piece: bytes) -> bool:
        """Send a piece of an answer in HTTP/1.1 that has begun, has no length, and of which nothing else is being sent.

        Args:
            piece: Not empty.

        Returns:
            Whether that was possible: not while the client reads more slowly than it is sent to.
        """
        http = self._http()
        if http is None or http.flow.write_paused or http.transport.is_closing():
            return False
        http.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True


def connected(app: ASGIApp, http: _Http) -> ASGIApp:
    """The application of one connection, which finds that under `CONNECTION`."""
    connection = Connection(http)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CONNECTION] = connection
        await app(scope, receive, send)

    return served
