"""Two listeners, and their end."""

import asyncio
from typing import Awaitable, Callable, List, Optional, Set, Tuple

from . import wire
from .desk import Desk
from .pods import Pods
from .tunnel import Tunnel

_MAX_CONNECTIONS = 2000
_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Listens on both ports.

    Args:
        secret: The file with what the hub must know.
    """

    def __init__(self, secret: str) -> None:
        self._desk = Desk()
        self._parts = (Pods(self._desk), Tunnel(self._desk, secret))
        self._servers: List[asyncio.AbstractServer] = []
        self._tasks: "Set[asyncio.Task[None]]" = set()

    async def start(self, address: Optional[str], pods: int, tunnel: int) -> Tuple[int, int]:
        """Listen.

        Args:
            address: Where; ``None`` for everywhere.
            pods: The port for Pods; 0 for any.
            tunnel: The port for the hub, likewise.

        Returns:
            The ports.
        """
        found = []
        for part, port in zip(self._parts, (pods, tunnel)):
            accept = self._accepting(part.serve)
            try:
                server = await asyncio.start_server(accept, address, port, limit=wire.BUFFER, backlog=512)
            except OSError:
                if address is not None:
                    raise
                server = await asyncio.start_server(accept, "0.0.0.0", port, limit=wire.BUFFER, backlog=512)  # noqa: S104  # no IPv6
            self._servers.append(server)
            found.append(server.sockets[0].getsockname()[1])
        return found[0], found[1]

    async def stop(self) -> None:
        """Accept no more, and let every Pod that waits try again."""
        for server in self._servers:
            server.close()
        self._desk.fail_all()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.5)
        for task in self._tasks:
            task.cancel()

    def _accepting(self, serve: _Serve) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._connection(serve, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept

    async def _connection(self, serve: _Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._tasks) <= _MAX_CONNECTIONS:
                await serve(reader, writer)
        except (OSError, EOFError, asyncio.TimeoutError, ValueError, KeyError):
            pass  # the other side has gone, or does not speak as agreed
        finally:
            writer.close()
