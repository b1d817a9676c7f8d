"""Passes connections on: from a socket in one network to one in another."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

_CHUNK = 1 << 17
_PATIENCE = 30.0
_RESET = struct.pack("ii", 1, 0)

Reach = Callable[[socket.socket], Awaitable[socket.socket]]
"""Given a connection that has come in, makes the one that it is passed on to; raises `OSError` where there is none."""


class Relay:
    """A listening socket whose connections are passed on; a task for each.

    Args:
        listener: Listens already.
        serve: What becomes of a connection.
    """

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._serve = serve
        self._open: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # no descriptor is left, or who came has gone again
                await asyncio.sleep(0.05)
                continue
            task = asyncio.create_task(self._handle(connection))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.setblocking(False)
            await self._serve(connection)

    def close(self) -> None:
        """Take no more; connections that are open go on, as those of a Service do."""
        close_after(self._task, self._listener)


def close_after(task: asyncio.Task[None], sock: socket.socket) -> None:
    """End a task, then close the socket it waits for: until then the loop watches its number, which may be another's soon."""
    task.add_done_callback(lambda _: sock.close())
    task.cancel()


def to(reach: Reach) -> Callable[[socket.socket], Awaitable[None]]:
    """What a `Relay` does that passes on what it gets."""

    async def serve(connection: socket.socket) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                other = await reach(connection)
        except OSError:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)  # closed so, it is reset
            return
        with other:
            await between(connection, other)

    return serve


async def between(one: socket.socket, other: socket.socket) -> None:
    """Copy what each of two sockets sends to the other, until both have ended."""
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with asyncio.TaskGroup() as group:
        group.create_task(_copy(one, other))
        group.create_task(_copy(other, one))


async def _copy(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    try:
        while size := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(target, view[:size])
    except OSError:
        for each in (source, target):  # what is broken on one side is broken on both
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        return
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


async def connect(address: str, port: int) -> socket.socket:
    """A connection through the machine's own network; raises `OSError`."""
    return await connected(socket.socket(socket.AF_INET, socket.SOCK_STREAM), address, port)


async def connected(sock: socket.socket, address: str, port: int) -> socket.socket:
    """Connect a socket, wherever it was made; raises `OSError`."""
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock
