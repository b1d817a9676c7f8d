"""What pages ask: the host's REST API and its Kubernetes API, with the rights of the person who looks at the page."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp

from kedge.dashboard.inside import Inside
from kedge.errors import ApiError, Cause, NotFound, api_error

PREFIX = "/apis/v2beta1"
"""Of the pipelines API; paths that are not below ``/api`` or ``/apis`` are meant to be below this one."""
_ABSOLUTE = frozenset({"api", "apis", "version"})
Query = Mapping[str, str | int | list[str]]


class Api:
    """Asks the host.

    Args:
        app: What serves it.
        headers: Who asks.
        peer: The address that the person's request came from.

    A page asks by it, such as ``await page.api.get("/runs", page_size=20)`` or ``await page.api.get("/api/v1/nodes")``.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], peer: tuple[str, int] | None = None) -> None:
        self._http = httpx.AsyncClient(
            transport=Inside(app, peer),
            base_url="http://localhost",
            headers=dict(headers),
            timeout=None,  # noqa: S113  # the host itself; some of what it answers has no end
        )

    async def get(self, path: str, /, **query: str | int | list[str]) -> Any:
        """Read something.

        Args:
            path: Below the pipelines API, such as ``/runs``, or a whole one below ``/api`` or ``/apis``.
            query: What is empty is left out.

        Raises:
            ApiError: The narrowest class for what is answered, with the API's own words.
        """
        return await self.send("GET", path, query=query)

    async def send(
        self, method: str, path: str, body: Any = None, *, query: Query | None = None, media: str = "", accept: str = ""
    ) -> Any:
        """Send a request, and return what is answered, read from JSON.

        Args:
            method: HTTP's.
            path: As for `get`.
            body: JSON as plain data, or bytes with their ``media`` type.
            query: What is empty is left out.
            media: The body's type; JSON when left out.
            accept: The type that is asked for, where there are several, such as Kubernetes' ``Table``.

        Raises:
            ApiError: As for `get`.
        """
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        headers = {"accept": accept or "application/json"}
        if body is not None:
            headers["content-type"] = media or "application/json"
        answer = await self._http.request(method, _place(path), params=_asked(query or {}), content=content, headers=headers)
        _check(answer.status_code, answer)
        return msgspec.json.decode(answer.content) if answer.content else None

    async def upload(self, path: str, name: str, content: bytes, query: Query) -> Any:
        """Send a file, as the pipelines API takes it.

        Args:
            path: As for `get`.
            name: Of the file.
            content: Its bytes.
            query: What is empty is left out.

        Raises:
            ApiError: As for `get`.
        """
        answer = await self._http.post(_place(path), params=_asked(query), files={"uploadfile": (name, content)})
        _check(answer.status_code, answer)
        return msgspec.json.decode(answer.content)

    @asynccontextmanager
    async def open(self, path: str, /, **query: str | int | list[str]) -> AsyncGenerator[httpx.Response]:
        """Read something that is large, or has no end.

        Args:
            path: As for `get`.
            query: Likewise.

        Yields:
            The answer, whose body has not been read.

        Raises:
            ApiError: As for `get`.
        """
        async with self._http.stream("GET", _place(path), params=_asked(query)) as answer:
            if answer.is_error:
                await answer.aread()
            _check(answer.status_code, answer)
            yield answer

    async def piece(self, path: str, start: int, count: int, /, **query: str | int | list[str]) -> tuple[bytes, int]:
        """Read some bytes of something that is large.

        Args:
            path: As for `get`.
            start: The first; those before the end where it is negative.
            count: So many, or fewer where it ends.
            query: As for `get`.

        Returns:
            The bytes, and how many there are in all; nothing where there are none from there on.

        Raises:
            ApiError: As for `get`.
        """
        asked = f"bytes={start}-{start + count - 1}" if start >= 0 else f"bytes={start}"
        async with self._http.stream("GET", _place(path), params=_asked(query), headers={"range": asked}) as answer:
            if answer.status_code == 206:
                return await answer.aread(), int(answer.headers["content-range"].rpartition("/")[2])
            if answer.is_error:
                await answer.aread()
            _check(answer.status_code, answer)
        return b"", 0

    async def changes(self, path: str, /, **query: str | int | list[str]) -> AsyncIterator[Any]:
        """Follow a watch: what it tells, one after another, until it ends."""
        rest = b""
        async with self.open(path, **query) as answer:
            async for piece in answer.aiter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if text := line.strip(b"\x1e \r"):
                        yield msgspec.json.decode(text)


def _place(path: str) -> str:
    """The whole path. It may hold what an address or a form named: that must not lead elsewhere than where the page asks.

    Raises:
        NotFound: It would.
    """
    if any(each in "?#\\" or each < " " for each in path) or not {".", "..", ""}.isdisjoint(path.split("/")[1:]):
        raise NotFound(f"{path!r:.200}: there is nothing of that name.")
    return path if path.split("/")[1] in _ABSOLUTE else PREFIX + path


def _asked(query: Query) -> httpx.QueryParams:
    """The query, without what is empty."""
    found = [(name, value if isinstance(value, list) else [value]) for name, value in query.items()]
    return httpx.QueryParams([(name, str(each)) for name, values in found for each in values if each != ""])


def _check(code: int, answer: httpx.Response) -> None:
    if code < 400:
        return
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    error = api_error(code, str(body.get("reason", "")), str(body.get("message") or f"the host answered {code}"))
    details = body.get("details")
    if isinstance(details, dict):  # Kubernetes'
        error.causes = tuple(
            Cause(str(each.get("field", "")), str(each.get("message", "")), str(each.get("reason", "")))
            for each in details.get("causes", [])
        )
    elif isinstance(details, list):
        faults = [fault for each in details if isinstance(each, dict) for fault in each.get("field_violations", [])]
        error.causes = tuple(Cause(str(fault.get("field", "")), str(fault.get("description", ""))) for fault in faults)
    raise error


def filtered(predicates: Sequence[Mapping[str, Any]]) -> str:
    """A list's ``filter``: all of the predicates must hold; ``""`` without any."""
    return msgspec.json.encode({"predicates": predicates}).decode() if predicates else ""


async def rest(stack: AsyncExitStack, pieces: AsyncIterator[bytes], start: bytes = b"") -> AsyncIterator[bytes]:
    """A body that is passed on, for as long as somebody reads.

    Args:
        stack: What the answer was opened in; it is closed at the end.
        pieces: What is still to come.
        start: What was read of it before.
    """
    async with stack:
        if start:
            yield start
        async for piece in pieces:
            yield piece


async def whole(answer: httpx.Response, limit: int) -> bytes:
    """The beginning of a body, up to a limit in bytes."""
    found = bytearray()
    async for piece in answer.aiter_bytes():
        found += piece
        if len(found) >= limit:
            break
    return bytes(found[:limit])


__all__ = ["PREFIX", "Api", "ApiError", "whole"]
