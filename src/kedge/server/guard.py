"""Refuses requests that a page of another site has made a browser send.

The host listens on loopback, where any page that the user has open can send requests too. A name that points to 127.0.0.1 (DNS
rebinding) shows in ``Host``; a request of a foreign page shows in ``Origin``. Both are checked before anything else looks.
"""

import functools
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from kedge.errors import Forbidden
from kedge.server.pki import ADDRESSES, DNS_NAMES
from kedge.server.status import send_error

LOOPBACK_NAMES = frozenset({*ADDRESSES, *DNS_NAMES})


class LoopbackGuard:
    """ASGI middleware for every listener.

    Args:
        app: What to guard.
        names: Host names that clients may use.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = LOOPBACK_NAMES) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403 with the reason."""
        if scope["type"] in {"http", "websocket"} and (fault := self._fault(scope)):
            await send_error(send, Forbidden(fault))
            return
        await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> str:
        host = origin = ""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1")
        if _host_name(host) not in self._names:
            names = ", ".join(sorted(self._names))
            return f"Host {host!r} is not a name of this host. Use one of {names}: other names could be a page's trick."
        if origin and not _same(origin, host):
            return f"Origin {origin!r} is another site. Only pages of this host itself may send requests to it."
        return ""


@functools.lru_cache(64)  # clients send the same with each request
def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and rest.lower() == host.lower()
