"""The listeners: two ports, one application, a prompt and quiet end."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from kedge.errors import KedgeError
from kedge.kube.clock import SystemClock
from kedge.kube.core import CONFIG_MAP
from kedge.server import pki
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
