"""The REST API of a hub, spoken to without a socket."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
from starlette.applications import Starlette

from kedge.testing import pipelines
from kedge.testing.runs import Hub, World, hub

Json = dict[str, Any]
CHAIN = pipelines.chain(2)
"""What `Rest.run` runs."""


class Rest:
    """Speaks to the API of a hub.

    Args:
        life: The hub.
        http: Leads to its routes.
    """

    def __init__(self, life: Hub, http: httpx.AsyncClient) -> None:
        self.life = life
        self.http = http

    async def __call__(self, method: str, path: str, body: Any = None, *, code: int = 200, **query: Any) -> Json:
        """What is answered, with the code that is to be; paths are below the pipelines API, or whole ones below ``/apis``."""
        prefix = "" if path.startswith("/apis/") else "/apis/v2beta1"
        sent = {} if body is None else {"json": body}
        response = await self.http.request(method, prefix + path, params=query, **sent)
        assert response.status_code == code, response.text
        return response.json()

    async def refused(self, method: str, path: str, body: Any = None, *, code: int = 400, **query: Any) -> str:
        """The message of a refusal, whose shape is that of KFP."""
        found = await self(method, path, body, code=code, **query)
        assert sorted(found) == ["code", "details", "error", "message"]
        assert found["error"] == found["message"]
        return found["message"]

    async def upload(self, file: str, content: bytes, path: str = "/pipelines/upload", code: int = 200, **query: str) -> Json:
        """What is answered to an upload."""
        response = await self.http.post(f"/apis/v2beta1{path}", params=query, files={"uploadfile": (file, content)})
        assert response.status_code == code, response.text
        return response.json()

    async def run(self, pipeline: Json = CHAIN, **body: Any) -> Json:
        """A run that is over."""
        started = await self("POST", "/runs", {"pipeline_spec": pipeline, **body})
        await self.life.end(started["run_id"])
        return await self("GET", f"/runs/{started['run_id']}")


@contextlib.asynccontextmanager
async def serving(world: World) -> AsyncGenerator[Rest]:
    """The API of a new hub on a world."""
    async with hub(world) as life:
        app = Starlette(routes=life.feature.routes(None, "1.2.3"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kedge") as http:
            yield Rest(life, http)
