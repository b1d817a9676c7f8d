"""Recurring runs on a whole hub whose time the test decides: what fires, what is missed, what survives a restart."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from kedge.errors import Conflict, Unavailable
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.kinds import RUN
from kedge.pipelines.recurring import RecurringRuns
from kedge.testing import pipelines
from kedge.testing.clock import FakeClock, settle
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, World, Wrap, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
CHAIN = pipelines.chain(1)
BACKWARDS = {"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}
DEEP = functools.reduce(lambda inner, _: [inner], range(300), [])
MINUTE = {"cron_schedule": {"cron": "* * * * *"}}


class Plan:
    """Recurring runs over the API, and the time."""

    def __init__(self, life: Hub, http: httpx.AsyncClient, clock: FakeClock) -> None:
        self.life = life
        self.clock = clock
        self._http = http

    async def __call__(self, method: str, path: str, body: Any = None, *, code: int = 200, **query: Any) -> Json:
        sent = {} if body is None else {"json": body}
        response = await self._http.request(method, f"/apis/v2beta1{path}", params=query, **sent)
        assert response.status_code == code, response.text
        return response.json()

    async def add(self, trigger: Json = MINUTE, **more: Any) -> str:
        """Make one; its id."""
        body = {"display_name": "mine", "pipeline_spec": CHAIN, "trigger": trigger, "max_concurrency": 10, **more}
        return (await self("POST", "/recurringruns", body))["recurring_run_id"]

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        await self.clock.advance(seconds)
        await self.rest()

    async def rest(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(20):
            await settle()
            await asyncio.sleep(0.001)

    async def runs(self) -> list[Json]:
        """All runs, the oldest moment first."""
        found = (await self("GET", "/runs", page_size=200)).get("runs", [])
        return sorted(found, key=lambda run: run["scheduled_at"])

    async def moments(self) -> list[str]:
        """The moments that runs stand for, as minutes and seconds of the test."""
        return [run["scheduled_at"][11:19] for run in await self.runs()]


@contextlib.asynccontextmanager
async def planning(world: World, wrap: Wrap | None = None, *, node: bool = True) -> AsyncGenerator[Plan]:
    assert isinstance(world.clock, FakeClock)
    async with hub(world, wrap, node=node) as life:
        app = Starlette(routes=life.feature.routes(None, "1"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kedge") as http:
            plan = Plan(life, http, world.clock)
            await plan.rest()
            yield plan


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World.new(tmp_path / "world")
    found.clock = FakeClock()  # midnight, and it stands still
    return found


@pytest.fixture
async def plan(world: World) -> AsyncGenerator[Plan]:
    async with planning(world) as found:
        yield found


async def test_a_cron_expression_fires_at_its_moments(plan: Plan) -> None:
    made = await plan.add(runtime_config={"parameters": {"start": 5}})
    await plan.pass_(59)
    assert await plan.moments() == []
    await plan.pass_(1)
    await plan.pass_(60)
    assert await plan.moments() == ["00:01:00", "00:02:00"]
    run = (await plan.runs())[0]
    assert (run["state"], run["recurring_run_id"], run["display_name"]) == ("SUCCEEDED", made, "mine 2026-01-01 00:01:00")
    assert run["outputs"] == {"parameters": {"Output": 6}}
    shown = await plan("GET", f"/recurringruns/{made}")
    assert shown["next_run_at"] == "2026-01-01T00:03:00.000000Z"
    assert shown["pipeline_spec"]["root"] == CHAIN["root"]
    assert (shown["status"], shown["mode"], shown["max_concurrency"]) == ("ENABLED", "ENABLE", "10")


async def test_an_interval_fires_until_its_end(plan: Plan) -> None:
    end = timestamp(plan.clock.now() + timedelta(seconds=150))
    await plan.add({"periodic_schedule": {"interval_second": "60", "end_time": end}})
    for _ in range(5):
        await plan.pass_(60)
    assert await plan.moments() == ["00:01:00", "00:02:00"]


async def test_one_that_is_disabled_fires_nothing_and_catches_up_when_it_is_enabled(plan: Plan) -> None:
    late = await plan.add(mode="DISABLE")
    await plan.pass_(190)
    assert await plan.runs() == []
    assert (await plan("GET", f"/recurringruns/{late}"))["status"] == "DISABLED"
    await plan("POST", f"/recurringruns/{late}:enable")
    await plan.rest()
    assert await plan.moments() == ["00:01:00", "00:02:00", "00:03:00"]
    await plan("POST", f"/recurringruns/{late}:disable")
    await plan.pass_(120)
    assert len(await plan.runs()) == 3


@pytest.mark.parametrize(
    ("no_catchup", "expected"), [(False, ["00:01:00", "00:02:00", "00:03:00"]), (True, ["00:03:00"])], ids=["catch-up", "without"]
)
async def test_what_was_missed_while_the_hub_was_down(world: World, no_catchup: bool, expected: list[str]) -> None:  # noqa: FBT001
    async with planning(world) as before:
        await before.add(no_catchup=no_catchup)
    assert isinstance(world.clock, FakeClock)
    await world.clock.advance(200)
    async with planning(world) as after:
        assert await after.moments() == expected
        await after.pass_(60)
        assert (await after.moments())[-1] == "00:04:00"


async def test_no_more_runs_are_live_than_may_be(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def wait(step: Step) -> Ended:
        await go.wait()
        return await obedient(step)

    world = World(tmp_path, Machine(wait))
    world.clock = FakeClock()
    async with planning(world) as plan:
        await plan.add(max_concurrency=2)
        await plan.pass_(270)
        assert [run["state"] for run in await plan.runs()] == ["RUNNING", "RUNNING"]
        go.set()
        for _ in range(4):
            await plan.pass_(1)
        assert await plan.moments() == ["00:01:00", "00:02:00", "00:03:00", "00:04:00"]


async def test_the_newest_version_runs_at_each_firing_unless_one_is_named(plan: Plan) -> None:
    pipeline = (await plan("POST", "/pipelines", {"display_name": "p"}))["pipeline_id"]

    async def version(name: str) -> str:
        body = {"display_name": name, "pipeline_spec": CHAIN}
        return (await plan("POST", f"/pipelines/{pipeline}/versions", body))["pipeline_version_id"]

    first = await version("v1")
    await plan.add(pipeline_spec=None, pipeline_version_reference={"pipeline_id": pipeline})
    named = {"pipeline_id": pipeline, "pipeline_version_id": first}
    await plan.add(pipeline_spec=None, pipeline_version_reference=named)
    await plan.pass_(60)
    second = await version("v2")
    await plan.pass_(60)
    found = [run["pipeline_version_reference"]["pipeline_version_id"] for run in await plan.runs()]
    assert sorted(found) == sorted([first, first, first, second])


async def test_one_is_changed_in_place(plan: Plan) -> None:
    made = await plan.add()
    await plan.pass_(60)
    changes = {"display_name": "hourly", "trigger": {"cron_schedule": {"cron": "0 0 * * * *"}}, "max_concurrency": "3"}
    changed = await plan("PATCH", f"/recurringruns/{made}", changes)
    assert (changed["display_name"], changed["max_concurrency"]) == ("hourly", "3")
    assert changed["next_run_at"] == "2026-01-01T01:00:00.000000Z"
    await plan.pass_(3600)
    assert await plan.moments() == ["00:01:00", "01:00:00"]
    changed = await plan("PATCH", f"/recurringruns/{made}", {"runtime_config": {"parameters": {"start": 40}}})
    assert changed["trigger"] == changes["trigger"]
    await plan.pass_(3600)
    assert (await plan.runs())[-1]["outputs"] == {"parameters": {"Output": 41}}


async def test_it_is_listed_and_forgotten_and_its_runs_stay(plan: Plan) -> None:
    made = await plan.add()
    await plan.add(display_name="other", trigger={"cron_schedule": {"cron": "@daily"}})
    await plan.pass_(60)
    listed = await plan("GET", "/recurringruns", sort_by="display_name asc")
    assert [found["display_name"] for found in listed["recurring_runs"]] == ["mine", "other"]
    await plan("DELETE", f"/recurringruns/{made}")
    await plan("GET", f"/recurringruns/{made}", code=404)
    await plan.pass_(120)
    assert await plan.moments() == ["00:01:00"]


async def test_archiving_its_experiment_stops_it(plan: Plan) -> None:
    experiment = (await plan("POST", "/experiments", {"display_name": "e"}))["experiment_id"]
    made = await plan.add(experiment_id=experiment)
    await plan("POST", f"/experiments/{experiment}:archive")
    await plan.pass_(120)
    assert await plan.runs() == []
    assert (await plan("GET", f"/recurringruns/{made}"))["status"] == "DISABLED"


async def test_a_moment_that_cannot_start_a_run_says_why_and_the_next_one_tries_again(plan: Plan) -> None:
    pipeline = (await plan("POST", "/pipelines", {"display_name": "p"}))["pipeline_id"]
    body = {"display_name": "v1", "pipeline_spec": CHAIN}
    version = (await plan("POST", f"/pipelines/{pipeline}/versions", body))["pipeline_version_id"]
    made = await plan.add(pipeline_spec=None, pipeline_version_reference={"pipeline_id": pipeline})
    await plan("DELETE", f"/pipelines/{pipeline}/versions/{version}")
    await plan.pass_(60)
    shown = await plan("GET", f"/recurringruns/{made}")
    assert "a version of pipeline" in shown["error"]["message"]
    await plan("POST", f"/pipelines/{pipeline}/versions", body)
    await plan.pass_(60)
    assert await plan.moments() == ["00:02:00"]
    assert "error" not in await plan("GET", f"/recurringruns/{made}")


class Failing:
    """A client that fails when a Run is created: before it is, or after."""

    def __init__(self, client: Any, *, after: bool) -> None:
        self._client = client
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        if kind is not RUN:
            return await self._client.create(kind, obj)
        if self._after:
            await self._client.create(kind, obj)
        raise Unavailable("the API is away.")


@pytest.mark.parametrize("after", [False, True], ids=["before the Run is made", "after"])
async def test_a_hub_killed_while_it_fires_fires_once(world: World, after: bool) -> None:  # noqa: FBT001
    async with planning(world, lambda client, database: (Failing(client, after=after), database), node=False) as before:  # pyright: ignore[reportArgumentType]
        await before.add()
        await before.pass_(60)
    async with planning(world) as later:
        await later.pass_(0)
        assert await later.moments() == ["00:01:00"]
        await later.pass_(60)
        assert await later.moments() == ["00:01:00", "00:02:00"]


async def test_a_moment_is_taken_once_whoever_asks(plan: Plan) -> None:
    made = await plan.add()
    recurring = RecurringRuns(plan.life.feature.database)
    record = recurring.get(made)
    moment = plan.clock.now() + timedelta(minutes=1)
    recurring.take(record, [moment])
    with pytest.raises(Conflict, match="was changed meanwhile"):
        recurring.take(record, [moment])
    again = recurring.change(made, plan.clock.now(), since=record.since)
    with pytest.raises(Conflict, match="was taken already"):
        recurring.take(again, [moment])


async def test_a_clock_that_is_set_back_fires_nothing_twice(world: World) -> None:
    async with planning(world) as before:
        await before.add()
        await before.pass_(120)
    world.clock = FakeClock(world.clock.now() - timedelta(hours=1))
    async with planning(world) as after:
        await after.pass_(120)
        assert await after.moments() == ["00:01:00", "00:02:00"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"display_name": ""}, "display_name must not be empty"),
        ({"trigger": None}, "trigger is required: when shall it run?"),
        ({"trigger": {}}, "one of cron_schedule and periodic_schedule is required"),
        ({"trigger": {**MINUTE, "periodic_schedule": {"interval_second": 1}}}, "one of cron_schedule and periodic_schedule"),
        ({"trigger": {"cron_schedule": {"cron": "* * *"}}}, "has 3 fields"),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, "interval_second: must be at least 1"),
        ({"trigger": {"periodic_schedule": {"interval_second": "x"}}}, "interval_second: 'x' is no whole number"),
        ({"trigger": {"cron_schedule": {"cron": "@daily", "start_time": "soon"}}}, "start_time: 'soon' is no RFC 3339 time"),
        ({"trigger": {"cron_schedule": {"cron": "@daily", **BACKWARDS}}}, "end_time must be after start_time"),
        ({"trigger": {"cron_schedule": {"cron": "@daily", "start_time": "0001-01-01T00:00:00Z"}}}, "not in the years 1970 to 9000"),
        ({"runtime_config": {"parameters": {"start": DEEP}}}, "nested more than"),
        ({"max_concurrency": 0}, "max_concurrency: must be 1 to 10, got 0"),
        ({"max_concurrency": "11"}, "max_concurrency: must be 1 to 10, got 11"),
        ({"mode": "SOMETIMES"}, "mode: must be ENABLE or DISABLE"),
        ({"pipeline_spec": None}, "pipeline_spec or pipeline_version_reference is required"),
        ({"runtime_config": {"parameters": {"y": 1}}}, "y"),
        ({"plugins_input": {"a": {}}}, "there are no plugins here"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)  # fmt: skip
async def test_what_cannot_recur_says_why(plan: Plan, body: Json, message: str) -> None:
    whole = {"display_name": "x", "pipeline_spec": CHAIN, "trigger": MINUTE, **body}
    refused = await plan("POST", "/recurringruns", whole, code=400)
    assert message in refused["message"]


# ---- what would be


async def test_a_trigger_is_previewed_without_being_made(plan: Plan) -> None:
    now = plan.clock.now()
    said = await plan("GET", "/recurringruns:preview", cron="TZ=Europe/Berlin 30 9 * * 1", count="3")
    assert said["trigger_in_words"] == "At 09:30 on Monday, Europe/Berlin"
    assert len(said["moments"]) == 3
    assert said["moments"][0] > timestamp(now)
    assert said["moments"] == sorted(said["moments"])
    start = timestamp(now + timedelta(hours=1))
    every = await plan("GET", "/recurringruns:preview", interval_second="5400", start_time=start)
    assert every["trigger_in_words"] == "Every 1 hour 30 minutes"
    assert every["moments"] == [timestamp(now + timedelta(hours=2.5 + 1.5 * number)) for number in range(5)]
    ends = timestamp(now + timedelta(minutes=2))
    assert len((await plan("GET", "/recurringruns:preview", cron="* * * * *", end_time=ends))["moments"]) == 2
    assert "recurring_runs" not in await plan("GET", "/recurringruns")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cron": "0 9 * *"}, "cron"),
        ({"cron": "TZ=Mars/Olympus 0 9 * * *"}, "cron"),
        ({"interval_second": "often"}, "interval_second"),
        ({"interval_second": "0"}, "interval_second"),
        ({"cron": "@daily", "start_time": "tomorrow"}, "start_time"),
        ({"cron": "@daily", **BACKWARDS}, "end_time"),
    ],
)
async def test_a_trigger_that_cannot_be_names_its_field(plan: Plan, query: Json, field: str) -> None:
    refused = await plan("GET", "/recurringruns:preview", code=400, **query)
    (violations,) = [each["field_violations"] for each in refused["details"] if "field_violations" in each]
    assert [each["field"] for each in violations] == [field]
    assert violations[0]["description"] == refused["message"]


async def test_what_is_there_tells_its_next_moments_enabled_or_not(plan: Plan) -> None:
    made = await plan.add({"periodic_schedule": {"interval_second": 60}})
    await plan.pass_(90)
    expected = [timestamp(plan.clock.now() + timedelta(seconds=30 + 60 * number)) for number in range(2)]
    for switch in ("disable", "enable"):
        await plan("POST", f"/recurringruns/{made}:{switch}")
        assert (await plan("GET", f"/recurringruns/{made}:preview", count=2))["moments"] == expected
    shown = await plan("GET", f"/recurringruns/{made}")
    assert shown["trigger_in_words"] == "Every 1 minute"
    await plan("GET", f"/recurringruns/{made}:preview", code=400, count=101)
