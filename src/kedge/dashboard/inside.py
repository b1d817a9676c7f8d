"""Requests to the application that serves us, without a socket: a transport for httpx whose answers stream."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

# Pieces of an answer that may wait for their reader.
_AHEAD = 8


class Inside(httpx.AsyncBaseTransport):
    """Answers requests by an application.

    Args:
        app: The application.
        peer: The address that the application is told requests come from: the one of the person on whose behalf they are made.
    """

    def __init__(self, app: ASGIApp, peer: tuple[str, int] | None) -> None:
        self._app = app
        self._peer = peer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Have one request answered; returns as soon as the answer begins."""
        exchange = _Exchange(request)
        exchange.task = asyncio.create_task(exchange.run(self._app, self._scope(request)))
        await asyncio.wait({exchange.task, exchange.begun}, return_when=asyncio.FIRST_COMPLETED)
        if not exchange.begun.done():
            exchange.task.result()
            raise httpx.RemoteProtocolError("the application ended without an answer", request=request)
        status, headers = exchange.begun.result()
        return httpx.Response(status, headers=headers, stream=_Pieces(exchange))

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self._peer,
            "server": None,
            "state": {},
        }


class _Exchange:
    """One request and its answer."""

    task: "asyncio.Task[None]"

    def __init__(self, request: httpx.Request) -> None:
        self.begun: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)
        self._given_up = asyncio.Event()
        self._asked = aiter(request.stream) if isinstance(request.stream, httpx.AsyncByteStream) else None

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            if not self._given_up.is_set():  # otherwise nobody takes anything any more, and there may be no room
                await self.pieces.put(None)

    async def _receive(self) -> Message:
        if self._asked is not None:
            piece = await anext(self._asked, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": True}
            self._asked = None
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._given_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun.set_result((message["status"], list(message["headers"])))
        elif message["type"] == "http.response.body" and message.get("body"):
            await self.pieces.put(message["body"])

    async def close(self) -> None:
        self._given_up.set()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class _Pieces(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        while (piece := await self._exchange.pieces.get()) is not None:
            yield piece
        self._exchange.task.result()

    async def aclose(self) -> None:
        await self._exchange.close()
