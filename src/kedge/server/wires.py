"""Frames between a host and the agent of a node that has joined: a kind, a length, and bytes.

They go over a connection that the agent has made and that has stopped speaking HTTP.
"""

import asyncio
import struct
from contextlib import suppress

CALLS = "/apis/kedge.dev/v1/calls"
"""Where agents connect: here to be told of calls, below it by a call's id to answer one."""
STARTED, FAILED, STDOUT, STDERR, ENDED, STDIN, RESIZE = range(7)
_HEAD = struct.Struct(">BI")
_LONGEST = 1 << 20


class Wire:
    """One connection.

    Args:
        reader: What comes.
        writer: Where to write to.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def post(self, kind: int, data: bytes = b"") -> None:
        """Send a frame, without waiting until it has left."""
        if not self._writer.is_closing():
            self._writer.write(_HEAD.pack(kind, len(data)) + data)

    async def send(self, kind: int, data: bytes = b"") -> None:
        """Send a frame; waits while the other end does not read."""
        self.post(kind, data)
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes] | None:
        """The next frame; ``None`` when the other end has gone."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            kind, length = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            if length > _LONGEST:
                raise ConnectionError(f"a frame of {length} bytes")
            return kind, await self._reader.readexactly(length)
        return None

    def close(self) -> None:
        """Let go of it."""
        self._writer.close()
