"""Who is at the other end of a connection, by the client certificate that came with it: a node that has joined.

Asked for on the listener for other machines alone, where TLS has checked already that this host's authority signed it.
"""

import asyncio
from typing import Any

from starlette.types import Scope

from kedge.server.auth import AUTHENTICATED, User

_PEER = "kedge.peer"


def remembered(state: dict[str, Any], transport: asyncio.BaseTransport) -> dict[str, Any]:
    """What uvicorn copies into each request's scope, with the subject of the connection's certificate, if it has one.

    Args:
        state: As it is.
        transport: The connection.
    """
    certificate: dict[str, Any] = transport.get_extra_info("peercert") or {}
    parts = [part for group in certificate.get("subject", ()) for part in group]
    names = [value for key, value in parts if key == "commonName"]
    if not names:
        return state
    groups = tuple(value for key, value in parts if key == "organizationName")
    return {**state, _PEER: User(names[0], groups=(*groups, AUTHENTICATED))}


def peer_of(scope: Scope) -> User | None:
    """The caller that a request's connection has proved; ``None`` where it came without a certificate."""
    return (scope.get("state") or {}).get(_PEER)
