"""How long results are used again, and what takes them out of use before that."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kedge.config import Settings
from kedge.errors import KedgeError, PipelineError
from kedge.kube.clock import SystemClock
from kedge.pipelines import ir
from kedge.pipelines.cache_entries import CacheEntries, Cleared, Selection
from kedge.pipelines.controller import Limits
from kedge.pipelines.documents import Document
from kedge.testing import pipelines
from kedge.testing.nodes import Machine
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

DAY = 86400.0
ADD = (pipelines.component("add", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("add"))
PIPELINE = pipelines.pipeline(
    {"mine": pipelines.task("add", x=1, cache=True), "other": pipelines.task("two", x=1, cache=True)},
    {
        "add": ADD,
        "two": (pipelines.component("two", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("two")),
    },
)


class Shifted(SystemClock):
    """The machine's clock, some time later."""

    later = timedelta()

    def now(self) -> datetime:
        return super().now() + self.later


def lasting(ttl: object) -> dict[str, Any]:
    return {"kedge": {"deploymentSpec": {"executors": {"exec-add": {"cacheTtl": ttl}}}}}


async def ran(life: Hub, platforms: dict[str, Any] | None = None) -> dict[str, str]:
    run = await life.submit(PIPELINE, platforms=platforms or {})
    assert (await life.end(run.id)).state == "SUCCEEDED"
    states = life.states(run.id)
    return {task: states[task] for task in ("mine", "other")}


@pytest.fixture
def clock() -> Shifted:
    return Shifted()


@pytest.fixture
def world(tmp_path: Path, clock: Shifted) -> World:
    return World(tmp_path, Machine(obedient), clock=clock)


async def test_a_step_uses_no_result_that_is_older_than_its_own_limit(world: World, clock: Shifted) -> None:
    async with hub(world) as life:
        await ran(life)
        assert await ran(life, lasting("86400s")) == {"mine": "CACHED", "other": "CACHED"}  # the limit is no part of the key
        clock.later = timedelta(days=2)
        assert await ran(life, lasting("86400s")) == {"mine": "SUCCEEDED", "other": "CACHED"}
        assert await ran(life, lasting("86400s")) == {"mine": "CACHED", "other": "CACHED"}


async def test_the_hosts_limit_is_for_all_steps_and_the_shorter_one_counts(world: World, clock: Shifted) -> None:
    async with hub(world, limits=Limits(cache_ttl=3 * DAY)) as life:
        await ran(life)
        clock.later = timedelta(days=2)
        assert await ran(life) == {"mine": "CACHED", "other": "CACHED"}
        clock.later = timedelta(days=4)
        assert await ran(life, lasting("864000s")) == {"mine": "SUCCEEDED", "other": "SUCCEEDED"}


async def test_entries_that_the_host_uses_no_more_are_not_listed(world: World, clock: Shifted) -> None:
    async with hub(world, limits=Limits(cache_ttl=DAY)) as life:
        entries = CacheEntries(life.feature.database, clock, DAY)
        await ran(life)
        found = entries.page(Selection(), 0, "")
        assert {entry.task.id for entry in found.items} == {"mine", "other"}
        expires = entries.expires(found.items[0])
        assert expires is not None
        assert expires - clock.now() <= timedelta(days=1)
        clock.later = timedelta(days=2)
        assert entries.page(Selection(), 0, "").items == []


async def test_entries_are_paged_newest_first_and_each_is_there_once(world: World, clock: Shifted) -> None:
    async with hub(world) as life:
        for day in range(3):
            clock.later = timedelta(days=day)
            await life.end((await life.submit(PIPELINE, cache=False)).id)
            await ran(life, lasting("3600s"))
        entries = CacheEntries(life.feature.database, clock)
        seen: list[tuple[str, str]] = []
        token, made = "", [datetime.max.replace(tzinfo=clock.now().tzinfo)]
        while True:
            page = entries.page(Selection(), 1, token)
            seen += [(entry.run, entry.task.id) for entry in page.items]
            made += [entry.task.finished_at for entry in page.items if entry.task.finished_at is not None]
            token = page.next_token
            if not token:
                break
        assert len(seen) == len(set(seen)) == page.total == 4
        assert made == sorted(made, reverse=True)


async def test_what_is_cleared_is_counted_and_not_used_again(world: World, clock: Shifted) -> None:
    async with hub(world) as life:
        await ran(life)
        entries = CacheEntries(life.feature.database, clock)
        assert entries.clear(Selection(pipeline="another")) == []
        assert entries.clear(Selection(before=clock.now() - timedelta(hours=1))) == []
        assert entries.clear(Selection(component="add")) == [Cleared("test-pipeline", "comp-add", 1)]
        assert await ran(life) == {"mine": "SUCCEEDED", "other": "CACHED"}
        assert entries.clear(Selection(task="other")) == [Cleared("test-pipeline", "comp-two", 1)]
        assert await ran(life) == {"mine": "CACHED", "other": "SUCCEEDED"}


@pytest.mark.parametrize("ttl", ["", "1d", "0s", 3, None], ids=repr)
def test_a_limit_that_is_no_duration_is_refused_by_its_field(ttl: object) -> None:
    with pytest.raises(
        PipelineError, match=r"platforms\.kedge\.deploymentSpec\.executors\.exec-add\.cacheTtl: must be a duration"
    ):
        ir.read(Document(PIPELINE, lasting(ttl)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("0", 0.0), ("90", 90.0), ("1.5h", 5400.0), ("7d", 604800.0), ("999999999d", 36500 * DAY)]
)
def test_the_hosts_limit_is_read_with_its_unit(text: str, seconds: float | None) -> None:
    assert Settings.from_environment({"HOME": "/nowhere", "KEDGE_CACHE_TTL": text}).cache_ttl == seconds


def test_a_limit_of_the_host_that_is_no_time_is_refused() -> None:
    with pytest.raises(KedgeError, match="KEDGE_CACHE_TTL: must be a time such as 90s, 30m, 12h or 7d, got 'a week'"):
        Settings.from_environment({"HOME": "/nowhere", "KEDGE_CACHE_TTL": "a week"})
