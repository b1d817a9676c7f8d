"""The listeners: two ports, one application, a prompt and quiet end."""

import asyncio
import contextlib
import gc
import socket
import ssl
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest

from kedge.errors import KedgeError
from kedge.kube.clock import SystemClock
from kedge.kube.core import CONFIG_MAP
from kedge.server import listen, parsed, parsed_slowly, patience, pki
from kedge.server.listen import Listeners


async def test_both_ports_serve_and_stop_while_a_watch_is_open(served: Any, tmp_path: Path) -> None:
    files = pki.ensure(tmp_path, SystemClock())
    listeners = Listeners(grace=600.0)  # more than the test may last: nothing waits for it
    ports = listeners.open()
    await listeners.start(served.app, files.certificate, files.key)
    context = ssl.create_default_context(cafile=str(files.ca))
    headers = {"authorization": "Bearer owner-token"}
    url = f"https://127.0.0.1:{ports.https}"
    async with httpx.AsyncClient(verify=context, headers=headers, timeout=60) as client:
        assert (await client.get(f"{url}/version")).status_code == 200
        assert (await client.get(f"http://localhost:{ports.http}/readyz")).text == "ok"
        async with client.stream("GET", f"{url}/api/v1/configmaps?watch=true") as watch:
            lines = watch.aiter_lines()
            served.api.create(CONFIG_MAP, {"metadata": {"name": "c"}})
            assert '"ADDED"' in await anext(lines)
            await listeners.stop(served.streams.close)
            assert [line async for line in lines] == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", ports.http), 1)


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
async def test_a_connection_over_tls_that_its_client_wants_closed_ends_quietly(
    served: Any, parser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    files = pki.ensure(tmp_path, SystemClock())
    listeners = Listeners()
    ports = listeners.open()
    await listeners.start(served.app, files.certificate, files.key)
    context = ssl.create_default_context(cafile=str(files.ca))
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.https, ssl=context)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    async with asyncio.timeout(60):
        while any(server.server_state.connections for server in listeners._servers):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    await listeners.stop(served.streams.close)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
async def test_of_a_connection_that_has_ended_nothing_waits_for_the_collector(
    served: Any, parser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS keeps as much as its longest answer: a host that many list from would grow by it with each of them."""
    monkeypatch.setattr(listen, "Http", parser.Http)
    files = pki.ensure(tmp_path, SystemClock())
    listeners = Listeners()
    ports = listeners.open()
    await listeners.start(served.app, files.certificate, files.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.https, ssl=ssl.create_default_context(cafile=str(files.ca)))
    head = b"GET /api/v1/configmaps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer owner-token\r\n\r\n"
    gc.disable()
    try:
        writer.write(head)
        assert b"ConfigMapList" in await reader.read(1 << 16)
        [connection] = [weakref.ref(each) for server in listeners._servers for each in server.server_state.connections]
        writer.close()
        async with asyncio.timeout(60):
            while connection() is not None:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
    await listeners.stop(served.streams.close)


HEAD = b"POST /apis/kedge.dev/v1/runs HTTP/1.1\r\nHost: localhost\r\n"
ENDLESS = {
    "a header": HEAD + b"X-Long: ",
    "an address": b"GET /",
    "headers": HEAD,
    "a trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-Long: ",
    "a chunk's extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_the_parser_would_keep_has_an_end(what: str, served: Any) -> None:
    listeners = Listeners(https=None)
    ports = listeners.open()
    await listeners.start(served.app)
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
    more = b"X: y\r\n" * 256 if what == "headers" else b"x" * 1024
    sent = 0
    writer.write(ENDLESS[what])
    try:
        while not reader.at_eof() and sent < 1 << 22:
            writer.write(more)
            sent += len(more)
            await writer.drain()
            await asyncio.sleep(0)  # the server is in this loop too
    except ConnectionError:
        pass
    with contextlib.suppress(ConnectionError):
        assert (await reader.read(1 << 16)).split(b" ", 2)[1] in {b"400", b"401", b"431"}
    assert sent < 1 << 20
    writer.close()
    await listeners.stop(served.streams.close)


BODY = (
    b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer owner-token\r\n"
    b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
HALVES = {
    "nothing": ([b""], b""),
    "half a head": ([HEAD], b""),
    "half a second head": ([b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /"], b"200"),
    "half a body": ([BODY], b"504"),
}


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
@pytest.mark.parametrize("what", HALVES)
async def test_a_client_that_stops_half_way_is_not_waited_for(
    what: str, parser: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(patience, "BODY_SECONDS", 0.1)
    listeners = Listeners(https=None)
    ports = listeners.open()
    await listeners.start(served.app)
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
    pieces, code = HALVES[what]
    writer.write(pieces[0])
    said = b""
    for piece in pieces[1:]:
        said += await reader.readuntil(b"ok")
        writer.write(piece)
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            said += piece
    assert said.partition(b"\r\n")[0].split(b" ")[1:2] == ([code] if code else [])
    writer.close()
    await listeners.stop(served.streams.close)


def _post(name: str) -> tuple[bytes, bytes]:
    body = b'{"metadata":{"name":"%b"}}' % name.encode()
    return BODY.replace(b"Connection: close\r\n", b"").replace(b"100\r\n\r\n{", b"%d\r\n\r\n" % len(body)), body


BODIES = {
    "with its head": [b"".join(_post("one"))],
    "behind its head": [*_post("one")],
    "in pieces": [_post("one")[0] + _post("one")[1][:5], _post("one")[1][5:9], _post("one")[1][9:]],
    "before the next": [b"".join((*_post("one"), *_post("two")))],
    "before half of the next": [b"".join((*_post("one"), *_post("two")))[:-3], _post("two")[1][-3:]],
}


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
@pytest.mark.parametrize("how", BODIES)
async def test_a_body_is_read_however_it_comes(how: str, parser: Any, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    listeners = Listeners(https=None)
    ports = listeners.open()
    await listeners.start(served.app)
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
    for piece in BODIES[how]:
        writer.write(piece)
        for _ in range(50):
            await asyncio.sleep(0)  # the server is in this loop too
    for _ in range(2 if "next" in how else 1):
        assert (await reader.readuntil(b'"metadata"')).split(b" ", 2)[1] == b"201"
    names = [each["metadata"]["name"] for each in served.api.list(CONFIG_MAP).items]
    assert names == (["one", "two"] if "next" in how else ["one"])
    writer.close()
    await listeners.stop(served.streams.close)


async def test_no_part_of_an_answer_waits_for_the_acknowledgement_of_the_part_before(served: Any) -> None:
    listeners = Listeners(https=None)
    ports = listeners.open()
    await listeners.start(served.app)
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.http)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    ours = writer.get_extra_info("sockname")
    sockets = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0]
    (accepted,) = [each for each in sockets if _peer(each) == ours]
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()
    await listeners.stop(served.streams.close)


def _peer(of: socket.socket) -> Any:
    with contextlib.suppress(OSError):
        return of.getpeername()
    return None


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KedgeError, match=f"port {port} \\(https\\) on 127.0.0.1: is in use by another process. Stop it"):
            Listeners(0, port).open()


def test_free_ports_are_none_that_a_connection_may_take_while_the_host_is_down() -> None:
    first, second = Listeners(), Listeners()
    try:
        ports = [*first.open(), *second.open()]
        assert len(set(ports)) == 4
        assert all(20_000 <= port < 30_000 for port in ports)
    finally:
        first.close()
        second.close()


def test_ports_that_were_wished_for() -> None:
    first = Listeners()
    wished = first.open()
    first.close()
    again = Listeners(wished.http, wished.https)
    assert again.open() == wished
    again.close()
