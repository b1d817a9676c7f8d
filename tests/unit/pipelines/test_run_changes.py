"""A watch of all runs: who follows is told what begins, changes and goes, of the namespace that was asked for alone."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kedge.dashboard.inside import Inside
from kedge.kube.core import NAMESPACE
from kedge.pipelines.records import RunRecord
from kedge.pipelines.run_changes import RunChange, RunChanges
from kedge.testing import pipelines
from kedge.testing.runs import Hub, World, hub

CHAIN = pipelines.chain(1)


@asynccontextmanager
async def watching(http: httpx.AsyncClient, **query: str) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
    """What a watch tells."""
    async with http.stream("GET", "/apis/v2beta1/runs", params={"watch": "true", **query}) as answer:
        assert answer.headers["content-type"] == "application/json-seq"

        async def told() -> AsyncGenerator[dict[str, Any]]:
            async for line in answer.aiter_lines():
                yield json.loads(line)

        async with aclosing(told()) as lines:
            yield lines


def client(life: Hub) -> httpx.AsyncClient:
    app = Starlette(routes=life.feature.routes(None, "1"))
    return httpx.AsyncClient(transport=Inside(app, None), base_url="http://kedge", timeout=None)  # noqa: S113  # in process


async def test_a_watch_tells_of_runs_that_begin_end_are_archived_and_deleted(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life, client(life) as http, watching(http) as told:
        run = (await http.post("/apis/v2beta1/runs", json={"pipeline_spec": CHAIN, "display_name": "one"})).json()["run_id"]
        await life.end(run)
        states = [(line := await anext(told))["state"]]
        while line["state"] != "SUCCEEDED":
            line = await anext(told)
            states.append(line["state"])
        assert {"PENDING", "RUNNING"} & set(states) or states == ["SUCCEEDED"]
        assert (line["run_id"], line["display_name"]) == (run, "one")
        await http.post(f"/apis/v2beta1/runs/{run}:archive")
        assert (await anext(told))["storage_state"] == "ARCHIVED"
        await http.delete(f"/apis/v2beta1/runs/{run}")
        last = await anext(told)
        assert (last["run_id"], last["deleted"]) == (run, True)


async def test_a_watch_of_a_namespace_tells_of_that_one(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life, client(life) as http, watching(http, namespace="team-a") as told:
        for namespace in ("team-b", "team-a"):
            life.api.create(NAMESPACE, {"metadata": {"name": namespace}})
            asked = {"pipeline_spec": CHAIN, "display_name": namespace}
            (await http.post("/apis/v2beta1/runs", params={"namespace": namespace}, json=asked)).raise_for_status()
        assert (await anext(told))["namespace"] == "team-a"


async def test_watches_end_when_the_host_stops(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life, client(life) as http, watching(http) as told:
        life.feature.close_streams()
        assert [line async for line in told] == []


async def test_of_a_watch_only_the_namespace_and_the_experiment_choose(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life, client(life) as http:
        answer = await http.get("/apis/v2beta1/runs", params={"watch": "true", "sort_by": "name"})
        assert (answer.status_code, answer.json()["message"][:8]) == (400, "sort_by:")


@pytest.mark.parametrize("runs", [1000, 1001])
async def test_who_is_too_slow_for_a_thousand_runs_is_let_go(runs: int) -> None:
    changes = RunChanges()
    told = changes.follow(lambda _: True)
    first = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0)
    changes.tell(record("first"))
    assert await first == [RunChange(record("first"))]
    for number in range(runs):
        changes.tell(record(str(number)))
        changes.tell(record(str(number)), deleted=True)
    assert await anext(told, None) == (None if runs > 1000 else [RunChange(record(str(n)), True) for n in range(runs)])
    await told.aclose()


def record(run: str) -> RunRecord:
    return RunRecord(
        id=run,
        namespace="default",
        name=run,
        display_name=run,
        pipeline_name="p",
        spec_digest="",
        parameters={},
        pipeline_root="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
