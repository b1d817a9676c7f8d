"""Requests of pages to the host that serves them: streams, ends, errors and bodies, without a socket."""

import asyncio
import gc
from collections.abc import AsyncGenerator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kedge.dashboard.api import Api, whole
from kedge.errors import ApiError, Forbidden, Invalid, NotFound
from kedge.testing.clock import settle

STATUS = {
    "kind": "Status",
    "reason": "Invalid",
    "message": "Pod a is invalid",
    "details": {"causes": [{"field": "spec.containers", "message": "is required", "reason": "FieldValueRequired"}]},
}


class Told:
    """What the application below has seen."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.begun = asyncio.Event()
        self.written = 0
        self.seen: list[Request] = []
        self.body = b""


def application(told: Told) -> Starlette:  # noqa: C901  # one function for each kind of answer
    async def endless(request: Request) -> Response:
        async def lines() -> AsyncGenerator[bytes]:
            try:
                while True:
                    told.written += 1
                    yield b'{"number": %d}\n' % told.written
            finally:
                told.gone.set()

        return StreamingResponse(lines())

    async def silent(request: Request) -> Response:
        async def nothing() -> AsyncGenerator[bytes]:
            try:
                told.begun.set()
                await asyncio.Event().wait()
                yield b""
            finally:
                told.gone.set()

        return StreamingResponse(nothing())

    async def changes(request: Request) -> Response:
        async def pieces() -> AsyncGenerator[bytes]:
            for piece in (b'{"a": 1}\n{"a"', b": 2", b'}\r\n\n\x1e{"a": 3}\n'):
                yield piece

        return StreamingResponse(pieces())

    async def take(request: Request) -> Response:
        told.seen.append(request)
        told.body = await request.body()
        return JSONResponse(
            {"bytes": len(told.body), "query": str(request.query_params), "type": request.headers.get("content-type")}
        )

    async def invalid(request: Request) -> Response:
        return JSONResponse(STATUS, 422)

    async def forbidden(request: Request) -> Response:
        return JSONResponse({"error": "no", "code": 7, "message": "ann cannot", "details": [{"code": 7}]}, 403)

    async def words(request: Request) -> Response:
        return Response(b"<html>", 502)

    async def nothing(request: Request) -> Response:
        return Response(b"", 204)

    async def broken(request: Request) -> Response:
        raise ValueError("a defect")

    async def breaks(request: Request) -> Response:
        async def begins() -> AsyncGenerator[bytes]:
            yield b"begun"
            raise ValueError("a defect")

        return StreamingResponse(begins())

    ends = (endless, silent, changes, take, invalid, forbidden, words, nothing, broken, breaks)
    return Starlette(routes=[Route(f"/apis/v2beta1/{each.__name__}", each, methods=["GET", "POST"]) for each in ends])


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def api(told: Told) -> Api:
    return Api(application(told), {"authorization": "Bearer secret"}, ("10.0.0.7", 4711))


async def nothing_is_left(told: Told) -> None:
    """An answer that waited for its reader is over when nobody holds it any more."""
    await settle()
    gc.collect()
    await asyncio.wait_for(told.gone.wait(), 60)


async def test_the_host_sees_who_asks_and_from_where(api: Api, told: Told) -> None:
    assert await api.get("/take", page_size=20, empty="", many=["a", "b"]) == {
        "bytes": 0, "query": "page_size=20&many=a&many=b", "type": None,
    }  # fmt: skip
    (seen,) = told.seen
    assert seen.client is not None
    assert (seen.client.host, seen.headers["authorization"]) == ("10.0.0.7", "Bearer secret")


async def test_bodies_arrive_whole(api: Api, told: Told) -> None:
    assert (await api.send("POST", "/take", {"name": "ö"}))["type"] == "application/json"
    assert told.body == '{"name":"ö"}'.encode()
    large = bytes(range(256)) * 40_000
    assert (await api.send("POST", "/take", large, media="application/x-pipeline"))["type"] == "application/x-pipeline"
    assert told.body == large


async def test_what_has_no_end_comes_as_it_is_read_and_is_not_made_ahead(api: Api, told: Told) -> None:
    async def read() -> str:
        async with api.open("/endless") as answer:
            first = await anext(answer.aiter_lines())
            for _ in range(100):
                await asyncio.sleep(0)
            return first

    assert await read() == '{"number": 1}'
    assert told.written < 20
    await nothing_is_left(told)


async def test_what_is_left_is_ended_also_where_nothing_was_said_yet(api: Api, told: Told) -> None:
    async def follow() -> None:
        async for _ in api.changes("/silent"):
            raise AssertionError

    reading = asyncio.create_task(follow())
    await asyncio.wait_for(told.begun.wait(), 60)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(told.gone.wait(), 60)


async def test_changes_are_told_one_by_one_however_they_were_cut(api: Api) -> None:
    assert [each async for each in api.changes("/changes")] == [{"a": 1}, {"a": 2}, {"a": 3}]


async def test_a_beginning_is_enough(api: Api, told: Told) -> None:
    async def read() -> bytes:
        async with api.open("/endless") as answer:
            return await whole(answer, 20)

    assert await read() == b'{"number": 1}\n{"numb'
    await nothing_is_left(told)


async def test_errors_say_what_the_api_says_with_the_fields_at_fault(api: Api) -> None:
    with pytest.raises(Invalid, match="Pod a is invalid") as caught:
        await api.get("/invalid")
    (cause,) = caught.value.causes
    assert (cause.field, cause.message, cause.reason) == ("spec.containers", "is required", "FieldValueRequired")
    with pytest.raises(Forbidden, match="ann cannot"):
        await api.get("/forbidden")
    with pytest.raises(ApiError, match="the host answered 502"):
        await api.get("/words")
    with pytest.raises(Forbidden, match="ann cannot"):
        async with api.open("/forbidden"):
            raise AssertionError


async def test_an_empty_answer_is_none(api: Api) -> None:
    assert await api.get("/nothing") is None


@pytest.mark.parametrize("path", ["/broken", "/breaks"])
async def test_a_defect_of_the_host_is_no_end_of_an_answer(api: Api, path: str) -> None:
    with pytest.raises(ValueError, match="a defect"):
        await api.get(path)


@pytest.mark.parametrize(
    "path", ["/runs/..", "/runs/../pipelines", "/runs/a?view=FULL", "/runs/a#b", "/runs/", "/runs/a\nb", "//x"]
)
async def test_a_name_leads_nowhere_else(api: Api, path: str) -> None:
    with pytest.raises(NotFound, match="there is nothing of that name"):
        await api.get(path)
