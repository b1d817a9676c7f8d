"""Probes' and hooks' ways to a container, with real servers, in the kubelet's words."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from kedge.kube.clock import SystemClock
from kedge.kube.kinds import Obj
from kedge.node.handlers import Handlers
from kedge.server import pki

NOBODY: Any = None  # no commands are run here
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    served: list[asyncio.Task[None]] = []

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(whole(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*served)


def http(*answers: str) -> tuple[Serve, list[str]]:
    """A server that gives its answers in their order, and what it was asked."""
    left, asked = list(answers), list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(left.pop(0).encode())

    return serve, asked


def ok(body: str = "", status: str = "200 OK", **headers: str) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n{body}"


async def probed(port: int, kind: str = "livenessProbe", **probe: Any) -> tuple[bool | None, str]:
    container = {"name": "main", "ports": [{"name": "web", "containerPort": port}], kind: probe}
    outcome = await Handlers(NOBODY).probe({"status": {"podIP": "127.0.0.1"}}, container, kind)
    return outcome.ok, outcome.event[1]


async def test_a_request_is_the_kubelets_unless_the_pod_says_otherwise() -> None:
    serve, asked = http(ok(), ok())
    async with serving(serve) as port:
        assert await probed(port, httpGet={"port": "web", "path": "/a?b=c"}) == (True, "")
        headers = [{"name": "Host", "value": "me"}, {"name": "accept", "value": ""}, {"name": "X", "value": "1"}]
        assert await probed(port, httpGet={"port": port, "path": "x", "httpHeaders": headers}) == (True, "")
    assert asked[0].startswith("GET /a?b=c HTTP/1.1\r\n")
    assert {f"Host: 127.0.0.1:{port}", "User-Agent: kube-probe/1.36", "Accept: */*", "Connection: close"} <= set(
        asked[0].split("\r\n")
    )
    assert asked[1].startswith("GET /x HTTP/1.1\r\n")
    assert {"Host: me", "X: 1"} <= set(asked[1].split("\r\n"))
    assert "accept" not in asked[1].lower()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([ok(status="503 No", body="secret")], (False, "Liveness probe failed: HTTP probe failed with statuscode: 503")),
        ([ok(status="302 Found", Location="/next"), ok()], (True, "")),
        (
            [ok("there", status="302 Found", Location="http://example.com/")],
            (True, "Liveness probe warning: Probe terminated redirects, Response body: there"),
        ),
        ([ok(status="302 Found", Location="/")] * 10, (False, 'Liveness probe failed: Get "URL": stopped after 10 redirects')),
        ([""], (False, 'Liveness probe failed: Get "URL": EOF')),
        ([ok("x" * 20_000)], (True, "")),
    ],
    ids=["status", "redirect", "to another host", "for ever", "nothing", "much"],
)
async def test_answers_over_http(answers: list[str], expected: tuple[bool, str]) -> None:
    serve, _ = http(*answers)
    async with serving(serve) as port:
        ok_, said = await probed(port, httpGet={"port": port, "path": "/"})
    assert (ok_, said.replace(f"http://127.0.0.1:{port}/", "URL")) == expected


async def test_https_asks_for_no_certificate_that_anybody_has_signed(tmp_path: Path) -> None:
    files = pki.ensure(tmp_path, SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    serve, _ = http(ok())
    async with serving(serve, context) as port:
        assert await probed(port, httpGet={"port": port, "scheme": "HTTPS"}) == (True, "")

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(ok(status="400 Bad Request").encode())

    async with serving(plain) as port:
        _, said = await probed(port, httpGet={"port": port, "scheme": "HTTPS", "path": "/"})
    get = f'Liveness probe failed: Get "https://127.0.0.1:{port}/": '
    assert said == f"{get}http: server gave HTTP response to HTTPS client"


async def test_who_does_not_answer_in_time_has_failed() -> None:
    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(wait) as port:
        late = await probed(port, httpGet={"port": port, "path": "/"}, timeoutSeconds=1)
        url = f"http://127.0.0.1:{port}/"
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        assert late == (False, f'Liveness probe failed: Get "{url}": {why}')
        said = (await probed(port, grpc={"port": port}, timeoutSeconds=1))[1]
        assert said.startswith(
            "Liveness probe failed: timeout: health rpc did not complete within 1s: rpc error: code = DeadlineEx"
        )
        assert await probed(port, tcpSocket={"port": "web"}) == (True, "")


async def test_who_is_not_there_has_failed() -> None:
    async with serving(http()[0]) as port:
        pass
    refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert await probed(port, tcpSocket={"port": port}) == (False, f"Liveness probe failed: {refused}")
    get = f'Get "http://127.0.0.1:{port}/": {refused}'
    assert await probed(port, httpGet={"port": port}) == (False, f"Liveness probe failed: {get}")
    said = (await probed(port, grpc={"port": port}))[1]
    assert said.startswith(f'Liveness probe failed: error: failed to connect service at "127.0.0.1:{port}": ')
    assert await probed(port, httpGet={"port": "none"}) == (
        None,
        'Liveness probe errored and resulted in unknown state: strconv.Atoi: parsing "none": invalid syntax',
    )


def grpc(status: str, body: bytes = b"", message: str = "") -> tuple[Serve, list[Any]]:
    """A gRPC server as a library writes one: compressed headers, and trailers."""
    asked: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        talk.initiate_connection()
        writer.write(talk.data_to_send())
        while data := await reader.read(1 << 14):
            for event in talk.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    asked.append(dict(event.headers or ()))
                elif isinstance(event, h2.events.DataReceived):
                    asked.append(event.data)
                elif isinstance(event, h2.events.StreamEnded):
                    talk.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
                    if body:
                        talk.send_data(1, body)
                    talk.send_headers(1, [("grpc-status", status), ("grpc-message", message)], end_stream=True)
            writer.write(talk.data_to_send())

    return serve, asked


@pytest.mark.parametrize(
    ("status", "number", "message", "expected"),
    [
        ("0", 1, "", ""),
        ("0", 2, "", 'service unhealthy (responded with "NOT_SERVING")'),
        ("0", 0, "", 'service unhealthy (responded with "UNKNOWN")'),
        ("5", None, "unknown%20service", "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"),
        ("12", None, "no", "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no"),
    ],
    ids=["serving", "not serving", "unknown", "no such service", "no such protocol"],
)
async def test_answers_over_grpc(status: str, number: int | None, message: str, expected: str) -> None:
    body = b"" if number is None else b"\x00\x00\x00\x00\x02\x08" + bytes([number]) if number else b"\x00" * 5
    serve, asked = grpc(status, body, message)
    async with serving(serve) as port:
        found = await probed(port, grpc={"port": port, "service": "s" * 200}, timeoutSeconds=5)
    assert found == ((False, f"Liveness probe failed: {expected}") if expected else (True, ""))
    assert (asked[0][":path"], asked[0]["te"]) == ("/grpc.health.v1.Health/Check", "trailers")
    assert asked[1] == b"\x00\x00\x00\x00\xcb\x0a\xc8\x01" + b"s" * 200


async def test_hooks_over_http_fail_when_nobody_answers_and_no_status_is_looked_at() -> None:
    pod: Obj = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "status": {"podIP": "127.0.0.1"}}
    serve, asked = http(ok(status="500 No"))
    async with serving(serve) as port:
        hook = {"httpGet": {"port": port, "path": "/bye"}}
        assert await Handlers(NOBODY).hook(pod, {"name": "main"}, hook) == ""
    assert "User-Agent: kube-lifecycle/1.36" in asked[0]
    said = await Handlers(NOBODY).hook(pod, {"name": "main"}, hook)
    assert said.startswith(
        'HTTP lifecycle hook (/bye) for Container "main" in Pod "p_n(u)" failed - error: Get "http://127.0.0.1:'
    )
