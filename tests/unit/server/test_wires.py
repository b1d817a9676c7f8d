"""Frames between a host and a node that has joined."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kedge.server.wires import ENDED, STDOUT, Wire

Ends = tuple[asyncio.StreamWriter, Wire]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """One end of a connection as it is, and the other as a wire."""
    accepted: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(Wire(reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    wire = await accepted
    yield writer, wire
    wire.close()
    server.close()


async def test_frames_arrive_whole_and_in_order_until_the_other_end_goes(ends: Ends) -> None:
    writer, wire = ends
    one, large = Wire(asyncio.StreamReader(), writer), bytes(range(256)) * 1000
    await one.send(STDOUT, large)
    one.post(ENDED)
    one.close()
    assert [await wire.receive() for _ in range(3)] == [(STDOUT, large), (ENDED, b""), None]


@pytest.mark.parametrize("cut", [b"\x02", b"\x02\x7f\xff\xff\xff", b"\x02\x00\x00\x00\x09half"])
async def test_what_is_no_frame_ends_the_connection_and_takes_no_memory(ends: Ends, cut: bytes) -> None:
    writer, wire = ends
    writer.write(cut)
    writer.close()
    assert await wire.receive() is None
