"""A run whose database goes away loses and repeats nothing: cut at every message, ended at any moment, killed, failed over."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import postgresql
import psycopg
import pytest
from sqlalchemy import make_url
from starlette.applications import Starlette
from tangle import behave, check_tangle, run_tangle, settled
from wires import Wire

from kedge.db.database import Database, open_postgres
from kedge.errors import Unavailable
from kedge.pipelines.kinds import RUN
from kedge.server.health import health
from kedge.testing import pipelines, runs
from kedge.testing.nodes import Ended, Step, output
from kedge.testing.runs import Hub, World, hub

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again soon."""
    monkeypatch.setattr("kedge.pipelines.engine.machine._INFRA_BACKOFF", 0.0)
    monkeypatch.setattr("kedge.pipelines.worker._FIRST_DELAY", 0.01)
    monkeypatch.setattr("kedge.db.postgres._FIRST_DELAY", 0.01)


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the hubs of this test open a database."""

    def use(url: str) -> None:
        def opened(_folder: Path) -> Database:
            return open_postgres(url)

        monkeypatch.setattr(runs, "open_history", opened)

    return use


@contextmanager
def wired(url: str, folder: Path, **how: Any) -> Generator[tuple[Wire, str]]:
    """A wire to a database, and the address at its end."""
    place = make_url(url)
    folder.mkdir()
    wire = Wire(Path(str(place.query["host"])) / f".s.PGSQL.{place.query['port']}", folder, **how)
    wire.start()
    try:
        yield wire, place.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
    finally:
        wire.stop()


async def add(step: Step) -> Ended:
    """Take a moment, and add one."""
    await asyncio.sleep(0.005)
    return output("Output", int(step.parameters.get("x", 0)) + 1)


async def chain(life: Hub) -> None:
    """A run of three steps, submitted until it is taken."""
    while not life.api.list(RUN, "default").items:
        try:
            await life.submit(pipelines.chain(3))
        except Unavailable:
            await asyncio.sleep(0.01)
    await settled(life)


async def check_chain(life: Hub) -> None:
    (run,) = life.api.list(RUN, "default").items
    run_id = run["metadata"]["uid"]
    assert run["status"]["state"] == "SUCCEEDED"
    assert life.states(run_id) == {"": "SUCCEEDED", "s0": "SUCCEEDED", "s1": "SUCCEEDED", "s2": "SUCCEEDED"}
    assert sorted(map(str, life.pod_uids(run_id))) == sorted(life.world.machine.started), "each step ran once, and is recorded"


@pytest.mark.slow
@pytest.mark.parametrize("answered", [False, True], ids=["before the server has it", "with its answer"])
async def test_a_connection_cut_at_any_message_loses_and_repeats_nothing(
    opens: Callable[[str], None],
    databases: postgresql.Databases,
    tmp_path: Path,
    answered: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    at, cuts = 0, 1
    while cuts:  # until the run is over before it comes to that message
        name = databases.take()
        with wired(databases.url(name), tmp_path / f"w{at}", answered=answered) as (wire, url):
            opens(url)
            async with hub(World.new(tmp_path / str(at), add)) as life:
                wire.cut_at = wire.messages + at
                await chain(life)
                cuts, wire.cut_at = wire.cuts, None
                await check_chain(life)
        databases.give(name)
        at += 1
    assert at > 10


async def test_sessions_ended_at_any_moment_cost_nothing(opens: Callable[[str], None], postgres_url: str, tmp_path: Path) -> None:
    opens(postgres_url)
    over = False

    async def end_sessions() -> int:
        ended, pause = 0, 0.017  # a step takes as long as it takes: every time it is another moment
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as admin:
            while not over:
                await asyncio.sleep(pause)
                pause *= 1.03  # a slow machine gets nothing done in so little time
                found = await admin.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                ended += (await found.fetchone() or (0,))[0]
        return ended

    async def slowly(step: Step) -> Ended:
        await asyncio.sleep(0.05)
        return await behave(step)

    async with hub(World.new(tmp_path / "world", slowly)) as life:
        ending = asyncio.create_task(end_sessions())
        while not life.api.list(RUN, "default").items:
            try:
                await run_tangle(life)
            except Unavailable:
                await asyncio.sleep(0.01)
        await life.until(lambda: _is_over(life), within=60)
        over = True
        assert await ending > 3
        await settled(life)
        await life.until(lambda: answers(life))
        await check_tangle(life)


def answers(life: Hub) -> bool:
    try:
        life.feature.history.run("")
    except Unavailable:
        return False
    return True


def _is_over(life: Hub) -> bool:
    (run,) = life.api.list(RUN, "default").items
    return (run.get("status") or {}).get("state") in {"SUCCEEDED", "FAILED"}


async def test_a_server_killed_in_the_middle_of_a_run_is_waited_for(opens: Callable[[str], None], tmp_path: Path) -> None:
    postgresql.skip_where_missing()
    with postgresql.server("fsync=on") as server:
        opens(server.url())
        gate = asyncio.Event()

        async def held(step: Step) -> Ended:
            if step.task == "s1":
                await gate.wait()
            return await add(step)

        async with hub(World.new(tmp_path / "world", held)) as life:
            run = await life.submit(pipelines.chain(3))
            await life.until(lambda: life.states(run.id).get("s1") == "RUNNING")
            server.kill()
            gate.set()  # the step ends while nobody can write that down
            with pytest.raises(Unavailable, match=r"the database is away \("):
                life.feature.history.run(run.id)
            async with served(life) as client:
                await refused(client, run.id)
                server.start()
                await life.end(run.id, within=60)
                assert (await client.get("/readyz")).status_code == 200
                assert (await client.get(f"/apis/v2beta1/runs/{run.id}")).json()["state"] == "SUCCEEDED"
            await check_chain(life)


async def test_a_session_that_ends_while_nothing_is_asked_is_noticed_at_once(
    opens: Callable[[str], None], postgres_url: str, tmp_path: Path
) -> None:
    opens(postgres_url)
    async with hub(World.new(tmp_path / "world", add)) as life:
        database = life.feature.database
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kedge'")
        await life.until(lambda: database.losses.values)
        await life.until(lambda: not database.is_away)
        assert life.feature.history.live_runs() == [], "nobody was refused"


async def test_a_session_that_ends_again_before_anybody_listens_is_noticed_too(
    opens: Callable[[str], None], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens(postgres_url)

    def end_sessions() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'kedge'")

    async with hub(World.new(tmp_path / "world", add)) as life:
        database = life.feature.database
        heard = type(database._server).heard

        def heard_too_late(server: Any, connection: Any) -> int | None:
            if connection is not lost:
                monkeypatch.undo()
                end_sessions()
                heard(server, connection)  # why; and below, that nothing more will come
            return heard(server, connection)

        lost = database._connection
        monkeypatch.setattr(type(database._server), "heard", heard_too_late)
        end_sessions()
        await life.until(lambda: type(database._server).heard is heard and not database.is_away)
        assert life.feature.history.live_runs() == [], "nobody was refused"


async def test_a_run_whose_name_the_database_cannot_hold_is_refused_and_not_tried_for_ever(
    opens: Callable[[str], None], postgres_url: str, tmp_path: Path
) -> None:
    opens(postgres_url)
    async with hub(World.new(tmp_path / "world", add)) as life:
        pipeline = pipelines.chain(1)
        pipeline["pipelineInfo"]["name"] = "".join(f"{number:x}" for number in range(3000))
        life.api.create(RUN, {"metadata": {"name": "long", "namespace": "default"}, "spec": {"pipelineSpec": pipeline}})
        await life.until(lambda: life.api.get(RUN, "long", "default").get("status", {}).get("state") == "FAILED")
        assert "too long to be looked up by" in life.api.get(RUN, "long", "default")["status"]["message"]


async def refused(client: httpx.AsyncClient, run_id: str) -> None:
    """What a client hears while the database is away."""
    for asked in (
        client.get(f"/apis/v2beta1/runs/{run_id}"),
        client.get("/apis/v2beta1/runs"),
        client.post("/apis/v2beta1/experiments", json={"display_name": "x"}),
    ):
        answer = await asked
        assert answer.status_code == 503
        assert float(answer.headers["retry-after"]) >= 1
        assert "the database is away" in answer.text
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert (await client.get("/healthz")).status_code == 200, "another start would not help"


async def test_a_server_that_stands_still_is_given_up_and_taken_up_again(
    opens: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql.skip_where_missing()
    with postgresql.server() as server:
        opens(server.url())
        async with hub(World.new(tmp_path / "world", add)) as life:
            run = await life.submit(pipelines.chain(30))
            await life.until(lambda: life.states(run.id).get("s2") == "SUCCEEDED")
            with server.standing_still(), monkeypatch.context() as patched:
                patched.setattr("kedge.db.postgres._SILENT_SECONDS", 0.3)
                with pytest.raises(Unavailable, match=r"no answer for 0\.3 seconds"):
                    life.feature.history.run(run.id)
                with pytest.raises(Unavailable, match="is away"):
                    life.feature.history.run(run.id)
            assert (await life.end(run.id, within=60)).state == "SUCCEEDED"
            assert sorted(map(str, life.pod_uids(run.id))) == sorted(life.world.machine.started)


@asynccontextmanager
async def served(life: Hub) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the hub's REST API."""

    def history() -> str:
        try:
            life.feature.history.run("")
        except Unavailable as error:
            return str(error)
        return ""

    application = Starlette(routes=[*life.feature.routes(None, "1"), *health({"history": history})])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://hub") as client:
        yield client


@pytest.fixture
def pair() -> Iterator[tuple[postgresql.Server, postgresql.Server]]:
    """A server, and another one that has all that it says it has written."""
    postgresql.skip_where_missing()
    with (
        postgresql.server("synchronous_standby_names=*", "synchronous_commit=local") as first,
        postgresql.standby(first) as second,
    ):
        yield first, second


async def test_a_server_that_fails_over_in_the_middle_of_a_run_loses_nothing(
    opens: Callable[[str], None], pair: tuple[postgresql.Server, postgresql.Server], tmp_path: Path
) -> None:
    first, second = pair
    opens(f"postgresql://{postgresql.USER}@/postgres?host={first.folder},{second.folder}")
    async with hub(World.new(tmp_path / "world", behave)) as life:
        with psycopg.connect(first.url(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_commit = on")
            admin.execute("SELECT pg_reload_conf()")
        running = asyncio.create_task(run_tangle(life))
        await life.until(lambda: len(life.world.machine.started) > 4)
        first.kill()
        second.promote()
        await running
        await check_tangle(life)
        with psycopg.connect(second.url()) as there:
            assert there.execute("SELECT state FROM runs").fetchall() == [("FAILED",)], "as its pipeline does"
