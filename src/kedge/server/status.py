"""Errors as Kubernetes prints them: an `ApiError` becomes a ``Status`` body with its HTTP code."""

import logging
from typing import Any

import msgspec
from starlette.types import Send

from kedge.client.status import to_status
from kedge.errors import ApiError, ServerError
from kedge.kube.kinds import Kind

_log = logging.getLogger("kedge.server")
JSON = b"application/json"


def defect(error: Exception) -> ServerError:
    """Log a defect of our own with its traceback, and make the error that the client sees: it holds nothing internal."""
    _log.error("a request failed because of a defect of the server", exc_info=error)
    return ServerError("the server failed because of a defect of its own; its log (hub.log) has the traceback. Please report it.")


async def send_json(send: Send, value: Any, code: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Answer with JSON; ``headers`` may hold a more precise content type."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    fixed = [(b"content-length", b"%d" % len(body)), (b"cache-control", b"no-cache, private"), *headers]
    if all(name != b"content-type" for name, _ in headers):
        fixed.append((b"content-type", JSON))
    await send({"type": "http.response.start", "status": code, "headers": fixed})
    await send({"type": "http.response.body", "body": body})


async def send_no_page(send: Send) -> None:
    """Answer that nothing is served at a path, as a real API server does where no API begins."""
    body = b"404 page not found\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: ApiError, kind: Kind | None = None, name: str = "") -> None:
    """Answer with a ``Status``."""
    extra: tuple[tuple[bytes, bytes], ...] = ()
    if error.retry_after is not None:
        extra = ((b"retry-after", b"%d" % max(1, round(error.retry_after))),)
    if error.code == 401:
        extra = (*extra, (b"www-authenticate", b"Bearer"))
    await send_json(send, to_status(error, kind=kind, name=name), error.code, extra)
