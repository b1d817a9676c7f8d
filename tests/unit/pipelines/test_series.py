"""Metrics of runs, as programs read them: live, after retries, from the cache, on another host, and gone with the run."""

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kedge.artifacts.staging import Batch, SentPoint, StagedOutputs, StoredArtifact
from kedge.errors import Conflict, Invalid
from kedge.pipelines import series
from kedge.pipelines.imports import Imports
from kedge.pipelines.portable import Exports
from kedge.pipelines.records import RunRecord
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step, raised
from kedge.testing.runs import Hub, StandInStore, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

TRAIN = (pipelines.component("train", writes={"metrics": "system.Metrics"}), pipelines.python("train"))


class Training:
    """A step that logs what a test puts here, twice, since an answer may get lost; then it fails or commits."""

    def __init__(self) -> None:
        self.life: Hub
        self.batches: list[Batch] = []
        self.seen: list[list[dict[str, Any]]] = []
        self.fails = 0
        self.pods: list[str] = []

    async def __call__(self, step: Step) -> Ended:
        uid = step.pod["metadata"]["uid"]
        self.pods.append(uid)
        for _ in range(2):
            try:
                await self.life.feature.staging.record(uid, self.batches)
            except Invalid as refused:
                return raised("Invalid", str(refused))
        self.seen.append(await metrics(self.life, self.life.feature.history.live_runs()[0], name="loss"))
        if len(self.pods) <= self.fails:
            return raised("ValueError", "diverged")
        (given,) = step.told["executorInput"]["outputs"]["artifacts"]["metrics"]["artifacts"]
        metadata = {"accuracy": 0.5, "loss": 9, "precision": "NaN", "framework": "none", "good": True}
        metadata |= {"classes": ["a", "b"], "by": {"a": 1}}
        made = StoredArtifact("metrics", given["uri"], "system.Metrics", metadata)
        await step.commit(StagedOutputs(artifacts={"metrics": [made]}))
        return Ended()

    async def train(self, *batches: Batch, fails: int = 0, cache: bool = False) -> RunRecord:
        self.batches, self.fails, self.pods = list(batches), fails, []
        train = pipelines.task("train", cache=cache) | {"retryPolicy": {"maxRetryCount": 2, "backoffDuration": "0s"}}
        run = await self.life.submit(pipelines.pipeline({"train": train}, {"train": TRAIN}))
        return await self.life.end(run.id)


def loss(*points: SentPoint, name: str = "loss") -> Batch:
    return Batch("metrics", name, list(points))


async def metrics(life: Hub, run: str, **query: Any) -> list[dict[str, Any]]:
    answer = await ask(life, f"/runs/{run}/metrics?" + "&".join(f"{key}={value}" for key, value in query.items()))
    assert answer.status_code == 200, answer.text
    return answer.json()["metrics"]


async def ask(life: Hub, path: str) -> httpx.Response:
    app = Starlette(routes=life.feature.routes(None, "1"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
        return await client.get("/apis/v2beta1" + path)


def drawn(metric: dict[str, Any]) -> list[tuple[int, Any]]:
    return [(point["step"], point["value"]) for point in metric["points"]]


@asynccontextmanager
async def living(folder: Path) -> AsyncGenerator[Training]:
    training = Training()
    folder.mkdir()
    async with hub(World(folder, Machine(training), artifacts=StandInStore())) as training.life:
        yield training


@pytest.fixture
async def training(tmp_path: Path) -> AsyncGenerator[Training]:
    async with living(tmp_path / "here") as made:
        yield made


async def test_points_are_read_while_the_step_runs_and_each_is_there_once(training: Training) -> None:
    run = await training.train(loss((1, 1_000_000, 4.0), (2, 2_500_000, 2), (2, 2_500_000, 3.5)))
    (seen,) = training.seen
    (metric,) = seen
    assert metric["points"] == [
        {"step": 1, "time": "1970-01-01T00:00:01Z", "value": 4.0},
        {"step": 2, "time": "1970-01-01T00:00:02Z", "value": 3.5},
    ]
    assert (metric["task_id"], metric["artifact"], metric["attempt"]) == ("train", "metrics", 0)
    assert await metrics(training.life, run.id, name="loss") == seen


async def test_a_run_tells_each_of_its_metrics_in_short(training: Training) -> None:
    run = await training.train(loss((5, 1_000_000, 4.0), (-3, 0, 9.5), (7, 2_000_000, 4.5)))
    series, *plain = sorted(await metrics(training.life, run.id), key=lambda metric: "count" not in metric)
    short = {
        "count": 3,
        "first_step": -3,
        "last_step": 7,
        "value": 4.5,
        "min": 4.0,
        "max": 9.5,
        "updated_at": "1970-01-01T00:00:02Z",
    }
    assert series.items() >= short.items()
    assert "points" not in series
    assert [(metric["name"], metric["value"]) for metric in plain] == [("accuracy", 0.5), ("precision", "NaN")]
    assert await metrics(training.life, run.id, name="accuracy") == [plain[0]]
    assert await metrics(training.life, run.id, task_id="another") == []


async def test_what_is_not_finite_is_kept_and_said_in_words(training: Training) -> None:
    run = await training.train(loss((0, 0, "NaN"), (1, 0, "Infinity"), (2, 0, "-Infinity")), loss((0, 0, "NaN"), name="odd"))
    (metric,) = await metrics(training.life, run.id, name="loss")
    assert drawn(metric) == [(0, "NaN"), (1, "Infinity"), (2, "-Infinity")]
    assert (metric["min"], metric["max"], metric["value"]) == ("-Infinity", "Infinity", "-Infinity")
    (odd,) = await metrics(training.life, run.id, name="odd")
    assert (odd["value"], "min" in odd) == ("NaN", False)


async def test_a_long_series_is_shown_by_few_points_with_its_ends_and_its_extremes(training: Training) -> None:
    points: list[SentPoint] = [(step, step, math.sin(step / 500)) for step in range(0, 60_000, 3)]
    points[7_000] = (21_000, 0, 17.0)
    points[11_111] = (33_333, 0, -5.0)
    points[15_000] = (45_000, 0, "NaN")
    run = await training.train(loss(*points))
    (metric,) = await metrics(training.life, run.id, name="loss", max_points=100)
    shown = drawn(metric)
    assert len(shown) <= 100
    assert [step for step, _ in shown] == sorted({step for step, _ in shown})
    assert (shown[0][0], shown[-1][0], metric["count"]) == (0, 59_997, 20_000)
    assert {(21_000, 17.0), (33_333, -5.0), (45_000, "NaN")} <= set(shown)
    (whole,) = await metrics(training.life, run.id, name="loss", max_points=20_000)
    assert drawn(whole) == [(step, value) for step, _, value in points]


async def test_a_retried_attempt_has_a_series_of_its_own_and_the_last_one_is_shown(training: Training) -> None:
    training.fails = 1
    run = await training.train(loss((1, 0, 4.0)), fails=1)
    assert run.state == "SUCCEEDED"
    assert [metric["attempt"] for metric in await metrics(training.life, run.id, name="loss")] == [1]
    for attempt in (0, 1):
        (metric,) = await metrics(training.life, run.id, name="loss", attempt=attempt)
        assert (metric["attempt"], drawn(metric)) == (attempt, [(1, 4.0)])


async def test_points_of_an_attempt_that_is_over_or_of_no_output_are_refused(training: Training) -> None:
    await training.train(loss((1, 0, 4.0)))
    with pytest.raises(Conflict, match="this attempt is not wanted any more"):
        await training.life.feature.staging.record(training.pods[0], [loss((2, 0, 1.0))])
    run = await training.train(Batch("nope", "loss", [(1, 0, 1.0)]))
    assert run.failure is not None
    assert "step 'train' has no output artifact 'nope', only metrics." in run.failure.message


async def test_of_an_attempt_so_many_points_and_series_are_kept_and_no_more(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MOST_POINTS", 3)
    monkeypatch.setattr(series, "MOST_SERIES", 2)
    again = await training.train(loss((1, 0, 1.0), (2, 0, 1.0)))
    assert again.state == "SUCCEEDED", "a step that is logged twice counts once"
    for batches in ([loss((1, 0, 1.0), (2, 0, 1.0), (3, 0, 1.0))], [loss((1, 0, 1.0)), loss((1, 0, 1.0), name="rate")]):
        run = await training.train(*batches)
        assert run.failure is not None
        assert "of an attempt at most 3 points in 2 series are kept. Log every tenth step" in run.failure.message
        assert len(await metrics(training.life, run.id, attempt=0)) == len(batches)


async def test_a_step_from_the_cache_has_the_series_of_the_one_that_made_it(training: Training) -> None:
    first = await training.train(loss((1, 0, 4.0)), cache=True)
    again = await training.train(loss((1, 0, 5.0)), cache=True)
    assert training.life.states(again.id)["train"] == "CACHED"
    assert await metrics(training.life, again.id, name="loss") == await metrics(training.life, first.id, name="loss")
    assert [metric["name"] for metric in await metrics(training.life, again.id)] == ["accuracy", "loss", "precision"]


async def test_points_go_with_their_run(training: Training) -> None:
    run = await training.train(loss((1, 0, 4.0)))
    await training.life.feature.deletions.delete(run.id)
    assert (await ask(training.life, f"/runs/{run.id}/metrics")).status_code == 404
    with training.life.feature.database.reading() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        assert raw.execute("SELECT count(*) FROM metric_points").fetchone() == (0,)


async def test_series_travel_to_another_host_with_their_run(training: Training, tmp_path: Path) -> None:
    run = await training.train(loss((1, 0, 4.0), (2, 1_000_000, "NaN"), (3, 0, "Infinity")), fails=1)
    here = training.life.feature
    store = training.life.world.artifacts
    exports = Exports(here.history, store, here._logs, series=here.series, events=here.events)
    data = [piece async for piece in await exports.open(run.id)]
    before = [await metrics(training.life, run.id, name="loss", attempt=attempt) for attempt in (0, 1)]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in data:
            yield piece

    async with living(tmp_path / "there") as other:
        there = other.life.feature
        store = other.life.world.artifacts
        stores = {"series": there.series, "events": there.events, "deletions": there.deletions}
        await Imports(there.history, there._catalog, store, **stores).take(pieces())
        assert [await metrics(other.life, run.id, name="loss", attempt=attempt) for attempt in (0, 1)] == before


@pytest.mark.parametrize("query", ["max_points=1", "max_points=100001", "max_points=x", "names=loss"])
async def test_queries_that_cannot_be_answered_are_refused(training: Training, query: str) -> None:
    run = await training.train(loss((1, 0, 4.0)))
    answer = await ask(training.life, f"/runs/{run.id}/metrics?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in json.loads(answer.text)["message"]
