"""A proxy between a hub and the API server that does what networks and busy servers do.

It speaks plain HTTP to the hub and TLS to the server, one request a connection, so that it can answer some requests itself, lose
the answers of others, be away, be silent, or forget connections.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kedge.client import kubeconfig as kubeconfigs
from kedge.client.kubeconfig import Access, load

_CHUNK = 1 << 16
_CLOSING_SECONDS = 0.2  # in which the loop closes what was given up


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: Its method.
        path: Its path, with the query.
    """

    method: str
    path: str

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return "watch=true" in self.path


Match = Callable[[Asked], bool]


@dataclass
class _Rule:
    match: Match
    answer: bytes
    left: int
    after: bool


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """A ``Status`` as API servers write it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def answer(code: int, body: Any, **headers: str) -> bytes:
    """A response of HTTP.

    Args:
        code: Its code.
        body: JSON.
        headers: Further ones, with underscores for hyphens.
    """
    content = json.dumps(body).encode() + b"\n"
    lines = [f"HTTP/1.1 {code} No", "Content-Type: application/json", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class FaultyProxy:
    """The proxy; its methods may be called from any thread.

    Attributes:
        requests: What was asked, in order.
        answers: What the server answered to it, by the answer's code.
    """

    def __init__(self, access: Access) -> None:
        parts = urlsplit(access.server)
        self._upstream = (parts.hostname or "", parts.port or 443)
        self._tls = ssl.create_default_context(cadata=access.ca)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._flows = asyncio.Event()
        self._rules: list[_Rule] = []
        self.requests: list[Asked] = []
        self.answers: list[tuple[Asked, int]] = []
        self.port = 0

    # ---- for tests

    def start(self) -> None:
        """Listen, on a port of its own or on the one that it had."""
        if not self._thread.is_alive():
            self._thread.start()
        self._call(self._listen())

    def go_away(self) -> None:
        """Refuse connections, and end those that there are; `start` ends it."""
        self._call(self._close())

    def fall_silent(self) -> None:
        """Take connections, and let nothing through any more."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def speak(self) -> None:
        """Let through what waits, and what comes."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def forget(self) -> None:
        """Let nothing through any more on the connections that there are, as a firewall that has dropped its state."""

        async def swap() -> None:
            self._flows = asyncio.Event()
            self._flows.set()

        self._flows.clear()
        self._call(swap())

    def cut(self) -> None:
        """End the connections that there are."""

        async def end() -> None:
            for writer in list(self._open):
                writer.transport.abort()

        self._call(end())

    def say(self, match: Match, response: bytes, *, times: int = 1, after: bool = False) -> None:
        """Answer some requests ourselves.

        Args:
            match: Which.
            response: Of HTTP.
            times: How many of them.
            after: Let the server do what is asked, and lose its answer.
        """
        self._rules.append(_Rule(match, response, times, after))

    def owed(self) -> int:
        """How many requests are still to be answered by us."""
        return sum(rule.left for rule in self._rules)

    def stop(self) -> None:
        """End everything."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    # ---- in its own thread

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _listen(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        loop: Any = self._loop
        if self._server is not None:
            for listener in self._server.sockets:
                loop.remove_reader(listener)
            await asyncio.sleep(0)  # asyncio leaves a connection open that it takes and whose server is closed before its turn
            self._server.close()
            self._server = None
        ended = False
        while not ended:  # a connection that was just being taken begins meanwhile
            for transport in [*loop._transports.values()]:  # of whoever has not got it yet, or waits for its peer, too
                transport.abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(_CLOSING_SECONDS)
            ended = not self._tasks

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            await self._exchange(reader, writer, self._flows)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._tasks.discard(task)
            self._open.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ", 2)
        asked = Asked(method, path)
        await flows.wait()
        self.requests.append(asked)
        rule = self._rule(asked)
        length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        if rule is not None and not rule.after:
            writer.write(rule.answer)
            await writer.drain()
            return
        kept = [line for line in lines if line and not line.lower().startswith(("connection:", "host:"))]
        host = f"{self._upstream[0]}:{self._upstream[1]}"
        sent = "\r\n".join([first, *kept, f"Host: {host}", "Connection: close"]).encode("latin-1") + b"\r\n\r\n" + body
        there, back = await asyncio.open_connection(*self._upstream, ssl=self._tls)
        try:
            back.write(sent)
            if rule is not None:
                while await there.read(_CHUNK):
                    pass
                writer.write(rule.answer)
                await writer.drain()
                return
            gone = asyncio.ensure_future(reader.read(1))
            await _until_either(self._pipe(asked, there, writer, flows), gone)
        finally:
            back.transport.abort()

    async def _pipe(self, asked: Asked, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        begun = False
        while data := await source.read(_CHUNK):
            if not begun:
                self.answers.append((asked, int(data.split(b" ", 2)[1])))
                begun = True
            await flows.wait()
            sink.write(data)
            await sink.drain()

    def _rule(self, asked: Asked) -> _Rule | None:
        for rule in self._rules:
            if rule.left and rule.match(asked):
                rule.left -= 1
                return rule
        return None


async def _until_either(work: Awaitable[None], gone: "asyncio.Future[bytes]") -> None:
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (working, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await each


@contextmanager
def faulty_proxy(kubeconfig: Path, folder: Path, *, context: str = "") -> Generator[tuple[FaultyProxy, Path]]:
    """A proxy, and a kubeconfig that leads through it.

    Args:
        kubeconfig: Of the cluster; with a token, as no other login comes through a proxy.
        folder: Where the new one goes.
        context: Of the given one.
    """
    access = load(kubeconfig, context=context or None)
    proxy = FaultyProxy(access)
    proxy.start()
    through = folder / "through-proxy"
    kubeconfigs.write(through, Access(f"http://127.0.0.1:{proxy.port}", token=access.token, namespace=access.namespace))
    try:
        yield proxy, through
    finally:
        proxy.stop()
