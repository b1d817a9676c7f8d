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

from kedge import dsl
from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.db.database import Database
from kedge.dsl import compiling, kubernetes
from kedge.errors import Conflict
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.pipelines.kinds import RUN
from kedge.pipelines.pages import Query
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, output, raised
from kedge.testing.pipelines import NUMBER, task
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


def the_run(life: Hub) -> Obj | None:
    return next(iter(life.api.list(RUN, "default").items), None)


async def settled(life: Hub) -> None:
    """Wait until the Run object says how it ended, and nothing waits to be let go."""

    def holds() -> bool:
        run = the_run(life)
        objects = [*life.api.list(RUN, "default").items, *life.api.list(POD, "default").items]
        held = [obj for obj in objects if obj["metadata"].get("finalizers")]
        over = run is None or run.get("status", {}).get("state") in {"SUCCEEDED", "FAILED", "CANCELED"}
        return over and not held

    try:
        await life.until(holds)
    except TimeoutError:
        pods = [(p["metadata"], p["status"].get("phase")) for p in life.api.list(POD, "default").items]
        pytest.fail(f"not settled: {the_run(life)}\n{pods}")


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


async def behave(step: Step) -> Ended:
    """One step fails once, one is evicted once, one commits over staging, one fails for good, the others add one."""
    await asyncio.sleep(0)
    first = {"flaky": raised("ValueError", "not yet"), "evicted": Ended(137, pod_reason="Evicted")}
    name = step.task.rpartition(".")[2]
    if step.attempt == 0 and name in first:
        return first[name]
    if name == "broken":
        return raised("ValueError", "never")
    if name == "artful":
        return await artful(step)
    return output("Output", int(step.parameters.get("x", 0)) + 1) if step.returns else Ended()


async def artful(step: Step) -> Ended:
    """Commit a parameter and an artifact over staging."""
    model = StoredArtifact("model", f"file:///artifacts/{step.attempt}", "system.Model", {"accuracy": 0.9}, "sha256:00", 3)
    try:
        await step.commit(StagedOutputs(parameters={"size": 3}, artifacts={"model": [model]}))
    except Conflict:
        return Ended(75)
    return Ended()


def tangle() -> Obj:
    """A loop, a condition, retries of both kinds, an artifact, a branch that fails and an exit task."""
    loop: Obj = {
        "componentRef": {"name": "comp-loop"},
        "taskInfo": {"name": "loop"},
        "parameterIterator": {"items": {"raw": "[1, 2, 3]"}, "itemInput": "item"},
        "iteratorPolicy": {"parallelismLimit": 2},
    }
    condition = {"triggerPolicy": {"condition": "inputs.parameter_values['value'] == 2"}}
    last = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
    tasks = {
        "flaky": task("add", x=1) | {"retryPolicy": {"maxRetryCount": 1}},
        "evicted": task("add", x=5),
        "artful": task("artful"),
        "uses": task("add", x=("artful", "size")),
        "loop": loop,
        "maybe": task("guarded", value=("flaky", "Output")) | condition,
        "broken": task("add", x=9),
        "after-broken": task("add", x=("broken", "Output")),
        "last": task("note", after=("broken", "loop", "maybe")) | last,
    }
    inner = {"inner": task("add", x="=item"), "second": task("add", x=("inner", "Output"))}
    return pipelines.pipeline(
        tasks,
        {
            "add": (pipelines.component("add", {"x": NUMBER}, {"Output": NUMBER}), pipelines.python("add")),
            "note": (pipelines.component("note"), pipelines.python("note")),
            "artful": (
                pipelines.component("artful", {}, {"size": NUMBER}, writes={"model": "system.Model"}),
                pipelines.python("artful"),
            ),
            "loop": pipelines.dag(inner, {"item": NUMBER}),
            "guarded": pipelines.dag({"yes": task("add", x="=value")}, {"value": NUMBER}),
        },
    )


EXPECTED = {
    **dict.fromkeys(("flaky", "evicted", "artful", "uses", "loop", "maybe", "maybe.yes", "last"), "SUCCEEDED"),
    **{f"loop.{n}{rest}": "SUCCEEDED" for n in range(3) for rest in ("", ".inner", ".second")},
    "": "FAILED",
    "broken": "FAILED",
    "after-broken": "SKIPPED",
}


async def run_tangle(life: Hub) -> None:
    if the_run(life) is None:
        await life.submit(tangle())
    await settled(life)


async def check_tangle(life: Hub) -> None:
    run = the_run(life)
    assert run is not None
    run_id, history = run["metadata"]["uid"], life.feature.history
    assert life.states(run_id) == EXPECTED
    record, evicted = history.run(run_id), history.task(run_id, "evicted")
    assert record is not None
    assert evicted is not None
    assert (record.state, run["status"]["state"]) == ("FAILED", "FAILED")
    assert sorted(map(str, life.pod_uids(run_id))) == sorted(life.world.machine.started), (
        "each attempt began once, and is in the table"
    )
    assert {attempt.task: attempt.number for attempt in history.attempts(run_id)}["flaky"] == 1
    assert evicted.infra_failures == 1
    assert [found.artifact.name for found in history.list_artifacts(Query(), run_id=run_id).items] == ["model"]


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


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hub_killed_before_any_write_of_a_cancellation_cancels_all_the_same(tmp_path: Path) -> None:
    await killed_everywhere(tmp_path, hang, run_and_cancel, check_cancelled)
