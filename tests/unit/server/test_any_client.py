"""Whatever bytes a client sends, and however it ends, no answer is a 5xx, nothing of it is kept, and the server goes on."""

import asyncio
import contextlib
import random  # noqa: TID251  # requests that follow from a seed
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from kedge.server import listen, parsed, parsed_slowly, patience
from kedge.server.listen import Listeners
from kedge.server.requests import BODY_LIMIT

SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 103))]
CLIENTS = 60  # a seed
PLACE = b"/api/v1/namespaces/default/configmaps"
FIXED = b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer owner-token\r\nConnection: close\r\n"
BODY = b'{"metadata": {"generateName": "c"}, "data": {"a": "b"}}'
LENGTH = b"Content-Length: %d\r\n"
JSON = b"Content-Type: application/json\r\n"
WHOLE = [
    b"GET " + PLACE + b"?limit=2&labelSelector=a%3Db" + FIXED + b"\r\n",
    b"GET "
    + PLACE
    + b"?fieldSelector=metadata.name%3Dc"
    + FIXED
    + b"Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n\r\n",
    b"POST " + PLACE + FIXED + JSON + LENGTH % len(BODY) + b"\r\n" + BODY,
    b"POST " + PLACE + FIXED + JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    b"PATCH " + PLACE + b"/c" + FIXED + b"Content-Type: application/merge-patch+json\r\n" + LENGTH % 2 + b"\r\n{}",
    b"DELETE " + PLACE + b"/c" + FIXED + b"\r\n",
    b"GET /api/v1/namespaces/default/pods/p/exec?command=a" + FIXED + b"Upgrade: SPDY/3.1\r\n\r\n",
    b"GET /openapi/v3" + FIXED + b"\r\n",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"%zz", b"%00", b"%2F", b"/../", b"//", b"?", b"#", b"\xff", b"\xc3\xa9",
    b"HTTP/9.9", b"Content-Length: 1\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999999\r\n",
    b"Content-Length: 1, 2\r\n",     b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Host: other\r\n", b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Accept: */*;q=\r\n",
    b"Content-Type: application/vnd.kubernetes.protobuf\r\n",
    b"X: " + b"y" * 5000 + b"\r\n", b"watch=true&timeoutSeconds=1&", b"resourceVersion=99999999999999999999&", b"limit=-1&",
]  # fmt: skip


def changed(dice: random.Random) -> bytes:
    """A request that is not quite one."""
    request = bytearray(dice.choice(WHOLE))
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(request) + 1)
        match dice.randrange(5):
            case 0:
                request[at:at] = dice.choice(PIECES)
            case 1:
                del request[at : at + dice.randrange(1, 20)]
            case 2:
                request[at:at] = request[at : at + dice.randrange(1, 40)]
            case 3:
                request[at : at + 1] = dice.randbytes(1)
            case _:
                line = request.find(b"\r\n", at)
                request[line + 2 : line + 2] = dice.choice(PIECES)
    return bytes(request)


async def answered(port: int, request: bytes, dice: random.Random) -> bytes:
    """What is said to a request that comes in pieces; sometimes its client does not wait for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    with contextlib.suppress(ConnectionError):
        middle = dice.randrange(len(request) + 1)
        for piece in (request[:middle], request[middle:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # the server is in this loop too
        while dice.random() > 0.02 and (piece := await reader.read(1 << 16)):
            said += piece
    writer.transport.abort()
    return said


def failures(said: bytes) -> list[bytes]:
    """The 5xx among the answers of a connection, but for those to who has not sent all of a body."""
    found = re.findall(rb"^HTTP/1\.1 (5\d\d)", said, re.MULTILINE)
    return [code for code in found if code != b"504" or b"did not complete within the allotted timeout" not in said]


@contextlib.asynccontextmanager
async def listening(served: Any) -> AsyncGenerator[tuple[int, Any]]:
    """The port of a server, and what it knows of its connections."""
    listeners = Listeners(https=None)
    port = listeners.open().http
    await listeners.start(served.app)
    try:
        yield port, listeners._servers[0].server_state
    finally:
        await listeners.stop(served.streams.close)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_no_client_makes_the_server_fail(
    seed: int, parser: Any, served: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    monkeypatch.setattr(listen, "_KEEP_ALIVE_SECONDS", 1)
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(patience, name, 0.2)
    dice = random.Random(seed)  # noqa: S311
    sent = [changed(dice) for _ in range(CLIENTS)]
    async with listening(served) as (port, state):
        said = await asyncio.gather(*(answered(port, request, dice) for request in sent))
        async with asyncio.timeout(60):
            while state.connections or state.tasks:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        ended = await answered(port, WHOLE[0], random.Random(1))  # noqa: S311
    assert [(request, answer) for request, answer in zip(sent, said, strict=True) if failures(answer)] == []
    assert any(re.match(rb"HTTP/1\.1 2", each) for each in said)
    assert [each.getMessage() for each in caplog.records if each.levelname in {"ERROR", "CRITICAL"}] == []
    assert ended.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
async def test_a_body_that_cannot_be_read_is_refused_quietly_although_nobody_asks_for_it(
    parser: Any, served: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    async with listening(served) as (port, state):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET " + PLACE + FIXED + b"Transfer-Encoding: chunked\r\n\r\nno size of a chunk\r\n")
        async with asyncio.timeout(60):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            while state.tasks:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0)
        writer.transport.abort()
    assert [each.getMessage() for each in caplog.records if each.levelname in {"ERROR", "CRITICAL"}] == []


TOO_LARGE = {
    "said": LENGTH % (BODY_LIMIT + 1),
    "said to be endless": LENGTH % (1 << 60),
    "not said": b"Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
@pytest.mark.parametrize("how", TOO_LARGE)
async def test_a_body_that_is_too_large_is_refused_before_it_is_kept(
    how: str, parser: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    sent = 0
    async with listening(served) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST " + PLACE + FIXED.replace(b"Connection: close\r\n", JSON) + TOO_LARGE[how] + b"\r\n")
        piece, head = b"x" * (1 << 16), asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(ConnectionError):
            while not head.done() and sent < 64 << 20:
                writer.write(piece if how != "not said" else b"10000\r\n" + piece + b"\r\n")
                sent += len(piece)
                await writer.drain()
                await asyncio.sleep(0)
        assert (await head).startswith(b"HTTP/1.1 413")
        assert b'"reason":"RequestEntityTooLarge"' in await reader.readuntil(b'TooLarge"')
        writer.transport.abort()
    assert sent < 16 << 20  # with what systems keep in both sockets
