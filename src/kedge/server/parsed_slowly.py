"""HTTP/1.1 parsed in Python, by ``h11``, as long as the extra ``cluster`` is not installed."""

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from kedge.server.connections import connected
from kedge.server.patience import HeadPatience, Parting
from kedge.server.peers import remembered
from kedge.server.upgrades import ACCEPTED


class Http(H11Protocol):
    """With upgrades to SPDY too, and for clients that do not stop half-way."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has come."""
        self._plain = transport
        self.app_state = remembered(self.app_state, transport)
        self._patience = HeadPatience(transport)
        self.app = connected(self.app, self)
        super().connection_made(cast("asyncio.Transport", Parting(transport)))

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._patience.awaits(head=False)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        super().data_received(data)
        self._patience.awaits(head=self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] != b"")

    def send_400_response(self, msg: str) -> None:
        """What came cannot be read. Whoever answers what could be is not heard any more: h11 takes nothing after this."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(msg)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection is another protocol's from now on."""
        self._patience.awaits(head=False)
        self.transport = self._plain
        super().handle_websocket_upgrade(event)

    def _should_upgrade(self) -> bool:
        """Whether the connection is `kedge.server.upgrades.Upgrade`'s from now on."""
        return self._get_upgrade() in ACCEPTED
