"""What a hub on a laptop passes on of the Kubernetes API: everything that its owner asks, and nothing of anybody else's."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from kedge import errors
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.server import passed_on
from kedge.server.auth import OwnerToken

OWNER = {"authorization": "Bearer the owner's"}


async def broken() -> AsyncIterator[bytes]:
    yield b"the first half"
    raise httpx.ReadError("it stopped")


async def cluster(request: httpx.Request) -> httpx.Response:
    """An API server."""
    if request.url.path == "/api/gone":
        raise httpx.ConnectError("nobody is there")
    if request.url.path == "/api/half":
        return httpx.Response(200, content=broken())
    said = f"{request.method} {request.url.raw_path.decode()} {request.headers['authorization']} {await request.aread()!r}"
    return httpx.Response(201, text=said, headers={"content-type": request.headers["content-type"]})


@pytest.fixture
async def hub() -> AsyncIterator[httpx.AsyncClient]:
    async with HttpClient(Access("http://cluster", token="the hub's"), transport=httpx.MockTransport(cluster)) as client:
        made = Starlette(routes=passed_on.routes(client, OwnerToken("the owner's")))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://hub") as http:
            yield http


async def test_what_the_owner_asks_is_passed_on_with_the_hubs_credentials_and_so_is_the_answer(hub: httpx.AsyncClient) -> None:
    answer = await hub.put("/api/v1/x%2Fy?dryRun=All", content=b"{}", headers={**OWNER, "content-type": "application/x"})
    assert answer.text == "PUT /api/v1/x%2Fy?dryRun=All Bearer the hub's b'{}'"
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/x")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer another's"}], ids=["nobody", "somebody else"])
async def test_nobody_else_is_answered(hub: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await hub.get("/api/v1/pods", headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (401, "Status")


async def test_a_cluster_that_does_not_answer_is_an_error_and_half_an_answer_is_none(hub: httpx.AsyncClient) -> None:
    answer = await hub.get("/api/gone", headers=OWNER)
    assert (answer.status_code, answer.json()["kind"]) == (503, "Status")
    with pytest.raises(errors.Unavailable, match="it stopped"):
        await hub.get("/api/half", headers=OWNER)
