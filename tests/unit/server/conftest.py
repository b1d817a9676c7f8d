"""A server over a store in memory, called in process and over ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

from kedge.errors import BadRequest
from kedge.kube.core import KINDS, NAMESPACE, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.server.api import Api
from kedge.server.auth import Authenticator
from kedge.server.guard import LoopbackGuard
from kedge.server.http import routes
from kedge.server.logs import LogOptions
from kedge.server.streams import Streams
from kedge.server.tokens import Tokens
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds

OWNER = "owner-token"
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WIDGET = Kind(
    "Widget",
    "widgets",
    group="kedge.dev",
    subresources=("status",),
    schema={
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "tags": {"type": "array"}, "own": OPEN}},
            "status": OPEN,
        },
    },
)


class StubLogs:
    """Three lines for every container; refuses ``previous``; follows until it is closed."""

    def __init__(self) -> None:
        self.asked: list[LogOptions] = []
        self.closed = asyncio.Event()

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        assert pod["kind"] == "Pod"
        self.asked.append(options)
        if options.previous:
            raise BadRequest(f"container {container} has no previous instance.")
        try:
            yield b"one\ntwo\n"
            yield b"three\n"
            if options.follow:
                await asyncio.Event().wait()
        finally:
            self.closed.set()


@dataclass
class Served:
    """A server and what it is made of."""

    api: Api
    clock: FakeClock
    tokens: Tokens
    authenticator: Authenticator
    streams: Streams
    logs: StubLogs
    app: LoopbackGuard


@pytest.fixture(scope="session")
def signing_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def served(signing_key: ec.EllipticCurvePrivateKey) -> Iterator[Served]:
    clock, ids, logs = FakeClock(), FakeIds(), StubLogs()
    tokens = Tokens(signing_key, "https://127.0.0.1:1", clock, ids)
    api = Api(MemoryLog(), [*KINDS, WIDGET], clock, ids, logs=logs, tokens=tokens)
    api.create(NAMESPACE, {"metadata": {"name": "default"}})
    api.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "default"}})
    authenticator, streams = Authenticator(OWNER, tokens, api), Streams()
    app = Starlette(routes=routes(api, authenticator, version="1.2.3", streams=streams))
    yield Served(api, clock, tokens, authenticator, streams, logs, LoopbackGuard(app))
    streams.close()


@pytest.fixture
def api(served: Served) -> Api:
    return served.api


@pytest.fixture
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """The owner's client."""
    headers = {"authorization": f"Bearer {OWNER}"}
    transport = httpx.ASGITransport(app=served.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:1", headers=headers) as client:
        yield client


class Call:
    """One streaming request over ASGI: what httpx's transport cannot do, because it waits for the end."""

    def __init__(self, app: LoopbackGuard, url: str, method: str = "GET") -> None:
        path, _, query = url.partition("?")
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {OWNER}".encode())]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": headers}
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._gone = asyncio.Event()
        self.task = asyncio.create_task(app(scope, self._receive, self._sent.put))
        self._buffer = b""

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def head(self) -> int:
        """The status code."""
        return (await asyncio.wait_for(self._sent.get(), 60))["status"]

    async def line(self) -> bytes:
        """The next line; ``b""`` at the end."""
        while b"\n" not in self._buffer:
            message = await asyncio.wait_for(self._sent.get(), 60)
            self._buffer += message["body"]
            if not message.get("more_body"):
                break
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def event(self) -> tuple[str, Obj]:
        """The next event of a watch."""
        event = json.loads(await self.line())
        return event["type"], event["object"]

    async def leave(self) -> None:
        """Go away, as a client does that closes its connection."""
        self._gone.set()
        await asyncio.wait_for(self.task, 60)


@pytest.fixture
async def call(served: Served) -> AsyncIterator[Callable[[str], Call]]:
    calls: list[Call] = []

    def begin(url: str) -> Call:
        calls.append(Call(served.app, url))
        return calls[-1]

    yield begin
    for each in calls:
        await each.leave()


def pod(name: str = "p", **spec: Any) -> Obj:
    """A Pod that can be created."""
    containers = [{"name": "main", "image": "python:3.11", "command": ["true"]}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers, **spec}}


def config_map(name: str = "c", **data: str) -> Obj:
    """A ConfigMap that can be created."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@pytest.fixture
def make_pod() -> Any:
    return pod


@pytest.fixture
def make_config_map() -> Any:
    return config_map


@pytest.fixture
def widget() -> Kind:
    return WIDGET
