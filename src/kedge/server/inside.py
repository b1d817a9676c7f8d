"""Calls an application of ours without a socket: a request that came another way, such as through a relay."""

from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message

from kedge.client.tunnel import Answer


async def call(app: ASGIApp, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    """Have one request answered.

    Args:
        app: The application.
        method: Such as ``POST``.
        path: Without a query.
        headers: As they came.
        body: All of it.

    Returns:
        The whole answer.
    """
    asked = [body]
    answered: list[Message] = []

    async def receive() -> Message:
        if asked:
            return {"type": "http.request", "body": asked.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": b"",
        "root_path": "",
        "headers": [*raw, (b"host", b"localhost"), (b"content-length", str(len(body)).encode())],
        "client": None,
        "server": None,
        "state": {},
    }
    await app(scope, receive, send)
    start = answered[0]
    found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(int(start["status"]), found, b"".join(message.get("body", b"") for message in answered[1:]))
