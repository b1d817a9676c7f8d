"""How long a connection waits for a client that stops half-way.

A client may stop within a request's head, within its body, or may not read what it is sent. Each would hold a connection, and
what waits to be sent, for ever: uvicorn bounds only how long a connection is idle between two requests. What is slow but goes on
is waited for.
"""

import asyncio
from typing import Any

HEAD_SECONDS = 32.0
"""From the beginning of a head, or of a connection, to the head's end; kube-apiserver's."""
BODY_SECONDS = 60.0
"""Between two pieces of a body; kube-apiserver's for the whole."""
UNREAD_SECONDS = 30.0
"""Without anything taken of what is left to be sent, once an answer has no more to say; asyncio's over TLS."""
BODY = "kedge.body"
"""The key of a scope under which the body stands where it came whole with its head: nothing of it has to be waited for."""


class HeadPatience:
    """Cuts a connection on which a head has no end.

    Args:
        transport: The connection, on which a head is awaited from now on.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None
        self.awaits(head=True)

    def awaits(self, *, head: bool) -> None:
        """Whether a head has begun that has not ended."""
        if head and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._transport.abort)
        elif not head and self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Parting:
    """A transport that waits for what is left to be sent only as long as some of it goes.

    Args:
        transport: What is written to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, after what was written; once, since a connection over TLS that is closed again can no longer be asked."""
        if not self._transport.is_closing():
            self._transport.close()
            self._look(-1)

    def _look(self, before: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left == before:
            self._transport.abort()
        elif left:
            asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._look, left)
