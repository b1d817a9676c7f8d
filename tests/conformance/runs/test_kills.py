"""The kill test: a hub that stops between any two writes, at every one of them, ends each run as an undisturbed one does.

A write is one change of an object, or one transaction of the history. At write N everything of the hub stops at once: nothing
more is written, nothing is cleaned up. What survives is what survives a ``kill -9``: the object store, the history's file, and
the machine with its processes, each of which writes down its Pod's UID when it begins.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tangle import behave, check_tangle, run_tangle, settled, the_run

from kedge import dsl
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.db.database import Database
from kedge.dsl import compiling, kubernetes
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, output
from kedge.testing.runs import Hub, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

Work = Callable[[Hub], Awaitable[None]]


class Killed(BaseException):
    """What a killed process would not live to see."""


class Fuse:
    """Lets so many writes through, and none after."""

    def __init__(self, writes: int | None) -> None:
        self.left = writes
        self.count = 0
        self.blown = asyncio.Event()

    def burn(self) -> None:
        if self.left is not None and self.count >= self.left:
            self.blown.set()
            raise Killed
        self.count += 1

    def wrap(self, client: Client, database: Database) -> tuple[Client, Database]:
        assert isinstance(client, LocalClient)
        return FusedClient(client._backend, self), FusedDatabase(database, self)  # type: ignore[return-value]


class FusedClient(LocalClient):
    """A client whose writes burn the fuse."""

    def __init__(self, backend: Any, fuse: Fuse) -> None:
        super().__init__(backend)
        self._fuse = fuse

    async def create(self, *args: Any, **kwargs: Any) -> Obj:
        self._fuse.burn()
        return await super().create(*args, **kwargs)

    async def patch(self, *args: Any, **kwargs: Any) -> Obj:
        self._fuse.burn()
        return await super().patch(*args, **kwargs)

    async def delete(self, *args: Any, **kwargs: Any) -> Obj | None:
        self._fuse.burn()
        return await super().delete(*args, **kwargs)


class FusedDatabase:
    """A database whose transactions burn the fuse before they are committed."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._database = database
        self._fuse = fuse

    @contextlib.contextmanager
    def transaction(self) -> Generator[Any]:
        with self._database.transaction() as connection:
            yield connection
            self._fuse.burn()

    @contextlib.contextmanager
    def writing(self) -> Generator[Any]:
        with self._database.writing() as connection:
            yield connection
            self._fuse.burn()

    def close(self) -> None:
        """The life's own end closes the file."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


async def one_life(world: World, fuse: Fuse, work: Work) -> bool:
    """Run a hub until the work is done, or the fuse blows. Says whether it was done."""
    try:
        async with hub(world, fuse.wrap) as life:
            working = asyncio.ensure_future(work(life))
            blown = asyncio.ensure_future(fuse.blown.wait())
            await asyncio.wait({working, blown}, return_when=asyncio.FIRST_COMPLETED)
            blown.cancel()
            if fuse.blown.is_set():
                fuse.left = 0  # nothing is written by what still runs
                working.cancel()
            with contextlib.suppress(asyncio.CancelledError, Killed):
                await working
    except Killed:
        pass  # at the start
    return not fuse.blown.is_set()


async def killed_everywhere(folder: Path, behaviour: Any, work: Work, check: Work) -> None:
    """Do the work undisturbed, then once for each of its writes with a hub that stops before that one; check every end."""
    whole = Fuse(None)
    world = World.new(folder / "undisturbed", behaviour)
    assert await one_life(world, whole, work)
    async with hub(world) as life:
        await check(life)
    for allowed in range(whole.count):
        world = World.new(folder / f"killed-{allowed}", behaviour)
        await one_life(world, Fuse(allowed), work)
        assert await one_life(world, Fuse(None), work)
        async with hub(world) as life:
            await check(life)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries after failures of the infrastructure follow at once."""
    monkeypatch.setattr("kedge.pipelines.engine.machine._INFRA_BACKOFF", 0.0)


# ---- a run with everything in it


# Where a hub stops does not depend on its database: over PostgreSQL it is tried with claims, and again and again.
@pytest.mark.parametrize("either_database", ["sqlite"], indirect=True)
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hub_killed_before_any_write_ends_the_run_as_if_undisturbed(tmp_path: Path) -> None:
    await killed_everywhere(tmp_path, behave, run_tangle, check_tangle)


async def test_a_hub_killed_before_any_write_makes_and_deletes_each_claim_once(tmp_path: Path) -> None:
    @dsl.pipeline
    def claims() -> None:
        asked: dict[str, Any] = {"access_modes": ["ReadWriteOnce"], "size": "1Gi"}
        kept = kubernetes.CreatePVC(pvc_name="kept", **asked)
        made = kubernetes.CreatePVC(pvc_name_suffix="-x", **asked)
        kubernetes.DeletePVC(pvc_name=made.outputs["name"]).after(kept)

    async def work(life: Hub) -> None:
        if the_run(life) is None:
            await life.submit(compiling.compile(claims).pipeline)
        await settled(life)

    async def check(life: Hub) -> None:
        run = the_run(life)
        assert run is not None
        assert set(life.states(run["metadata"]["uid"]).values()) == {"SUCCEEDED"}
        assert [found["metadata"]["name"] for found in life.api.list(PERSISTENT_VOLUME_CLAIM, "default").items] == ["kept"]

    await killed_everywhere(tmp_path, behave, work, check)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hub_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    world = World.new(tmp_path / "world", behave)
    lives = 1
    while not await one_life(world, Fuse(7), run_tangle):
        lives += 1
        assert lives < 200
    assert lives > 5
    async with hub(world) as life:
        await check_tangle(life)


# ---- a run that is cancelled


async def hang(step: Step) -> Ended:
    """The first step ends, the others wait to be stopped."""
    if step.task == "s0":
        return output("Output", 1)
    await asyncio.Event().wait()
    return Ended()


async def run_and_cancel(life: Hub) -> None:
    if the_run(life) is None:
        await life.submit(pipelines.chain(3))
    run = the_run(life)
    assert run is not None
    run_id = run["metadata"]["uid"]
    await life.until(lambda: life.states(run_id).get("s1") in {"RUNNING", "CANCELED"})
    await life.feature.controller.cancel(run_id, "enough")
    await settled(life)


async def check_cancelled(life: Hub) -> None:
    run = the_run(life)
    assert run is not None
    run_id = run["metadata"]["uid"]
    assert life.states(run_id) == {"": "CANCELED", "s0": "SUCCEEDED", "s1": "CANCELED", "s2": "CANCELED"}
    assert run["status"]["state"] == "CANCELED"
    assert sorted(map(str, life.pod_uids(run_id))) == sorted(life.world.machine.started)
    running = [pod for pod in life.api.list(POD, "default").items if pod["status"]["phase"] == "Running"]
    assert not running, "what was cancelled was stopped"


@pytest.mark.parametrize("either_database", ["sqlite"], indirect=True)
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hub_killed_before_any_write_of_a_cancellation_cancels_all_the_same(tmp_path: Path) -> None:
    await killed_everywhere(tmp_path, hang, run_and_cancel, check_cancelled)
