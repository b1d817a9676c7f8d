"""Answers that a browser gets through the API server's proxy."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from kedge.server.forwarded import FORWARDED, UNDER_ANOTHER_NAME, Forwarded


@pytest.fixture
def hub() -> httpx.AsyncClient:
    routes = [Route("/page", lambda _: HTMLResponse("<p>x")), Route("/text", lambda _: PlainTextResponse("x"))]
    transport = httpx.ASGITransport(Forwarded(Starlette(routes=routes)))
    return httpx.AsyncClient(transport=transport, base_url="http://hub")


async def test_html_goes_under_another_name_to_whoever_gives_it_back(hub: httpx.AsyncClient) -> None:
    asked = {FORWARDED: "yes"}
    page = await hub.get("/page", headers=asked)
    assert page.headers["content-type"] == f"{UNDER_ANOTHER_NAME.decode()}; charset=utf-8"
    assert page.headers[FORWARDED] == "yes"
    assert (await hub.get("/text", headers=asked)).headers["content-type"] == "text/plain; charset=utf-8"


async def test_everybody_else_gets_html(hub: httpx.AsyncClient) -> None:
    page = await hub.get("/page")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert FORWARDED not in page.headers
