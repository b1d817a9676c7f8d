"""How something on this node is connected to, wherever it listens."""

import asyncio
import ssl
from typing import Protocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Dial(Protocol):
    """Connects; `kedge.node.network.PodNetwork.open` reaches Pods in a network of their own too."""

    async def __call__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> Streams:
        """Connect to a port, over TLS where there is a context; raises `OSError`."""
        ...


async def plainly(host: str, port: int, context: ssl.SSLContext | None = None) -> Streams:
    """Connect through the machine's own network."""
    return await asyncio.open_connection(host, port, ssl=context)
