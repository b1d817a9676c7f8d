"""The API says why a step's result came from the cache, or did not."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kedge.kube.clock import SystemClock
from kedge.pipelines.controller import Limits
from kedge.testing import pipelines
from kedge.testing.nodes import Machine
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]


class Shifted(SystemClock):
    """The machine's clock, some time later."""

    later = timedelta()

    def now(self) -> datetime:
        return super().now() + self.later


class Cache:
    """A hub that runs pipelines of one step, and its REST API."""

    def __init__(self, life: Hub, http: httpx.AsyncClient) -> None:
        self.life = life
        self._http = http

    async def ran(self, pipeline: Json, **asked: Any) -> str:
        run = await self.life.submit(pipeline, **asked)
        assert (await self.life.end(run.id)).state == "SUCCEEDED"
        return run.id

    async def why(self, run: str, task: str = "step", code: int = 200) -> Json:
        answer = await self._http.get(f"/apis/v2beta1/runs/{run}/tasks/{task}/cache")
        assert answer.status_code == code, answer.text
        return answer.json()


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
async def cache(tmp_path: Path, clock: Shifted) -> AsyncGenerator[Cache]:
    async with contextlib.AsyncExitStack() as stack:
        world = World(tmp_path, Machine(obedient), clock=clock)
        life = await stack.enter_async_context(hub(world, limits=Limits(cache_ttl=86400.0)))
        app = Starlette(routes=life.feature.routes(None, "1.2.3"))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kedge")
        yield Cache(life, await stack.enter_async_context(http))


def pipeline(executor: Json | None = None, *, cache: bool = True, x: int = 1) -> Json:
    """One step with one number, and another beside it."""
    parts = (pipelines.component("step", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), executor or python())
    return pipelines.pipeline({"step": pipelines.task("step", x=x, cache=cache)}, {"step": parts})


def python(body: str = "...", **more: Any) -> Json:
    made = pipelines.python("step")
    made["container"]["command"] = [part.replace("...", body) for part in made["container"]["command"]]
    made["container"].update(more)
    return made


async def test_a_hit_names_the_step_that_made_it(cache: Cache) -> None:
    first, again = await cache.ran(pipeline()), await cache.ran(pipeline())
    found = await cache.why(again)
    assert found["answer"] == "HIT"
    assert found["cached_from"] == {"run_id": first, "task_id": "step"}
    assert found["cache_fingerprint"]


async def test_the_first_of_its_kind_had_nothing_to_find(cache: Cache) -> None:
    found = await cache.why(await cache.ran(pipeline()))
    assert found["answer"] == "MISS"
    assert "No step of component 'comp-step' had succeeded before" in found["reason"]
    assert "compared_with" not in found


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (pipeline(x=2), {"part": "input", "name": "x", "before": 1, "now": 2}),
        (pipeline(python(image="python:3.12")), {"part": "image", "before": "python:3.11", "now": "python:3.12"}),
        (
            pipeline(python(env=[{"name": "DEPTH", "value": "3"}])),
            {"part": "environment", "name": "DEPTH", "now": "3"},
        ),
    ],
    ids=["input", "image", "environment"],
)
async def test_a_miss_says_what_differs_from_the_newest_result(cache: Cache, changed: Json, difference: Json) -> None:
    first = await cache.ran(pipeline())
    found = await cache.why(await cache.ran(changed))
    assert found["answer"] == "MISS"
    assert found["compared_with"] == {"run_id": first, "task_id": "step"}
    assert found["differences"] == [difference]
    assert difference["part"] in found["reason"]


async def test_changed_code_is_shown_line_by_line(cache: Cache) -> None:
    await cache.ran(pipeline())
    found = await cache.why(await cache.ran(pipeline(python("return 7"))))
    assert [each["part"] for each in found["differences"]] == ["code"]
    assert "-def step(): ..." in found["differences"][0]["diff"]
    assert "+def step(): return 7" in found["differences"][0]["diff"]


async def test_a_result_that_was_too_old_is_told_from_one_that_differs(cache: Cache, clock: Shifted) -> None:
    first = await cache.ran(pipeline())
    clock.later = timedelta(days=2)
    found = await cache.why(await cache.ran(pipeline()))
    assert found["answer"] == "MISS"
    assert "longer ago than results are used again" in found["reason"]
    assert found["compared_with"]["run_id"] == first


async def test_a_step_that_did_not_ask_says_why(cache: Cache) -> None:
    off = await cache.why(await cache.ran(pipeline(cache=False)))
    assert (off["answer"], off["reason"]) == ("OFF", "Caching is turned off for this task.")
    without = await cache.why(await cache.ran(pipeline(), cache=False))
    assert (without["answer"], without["reason"]) == ("OFF", "The run was started without the cache.")


async def test_what_is_no_step_or_is_not_there_is_refused(cache: Cache) -> None:
    run = await cache.ran(pipeline())
    assert "has no task 'nothing'" in (await cache.why(run, "nothing", 404))["message"]
    assert "not found" in (await cache.why("nowhere", code=404))["message"]
