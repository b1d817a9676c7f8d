"""A run is deleted with what it made; what others use, and what came from elsewhere, stays and is named."""

import contextlib
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.artifacts.store import ArtifactStore
from kedge.errors import NotFound, Unavailable
from kedge.pipelines.deletions import Deleted
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, StandInStore, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
MAKE = (pipelines.component("make", writes={"data": "system.Dataset"}), pipelines.python("make"))
USE = (pipelines.component("use", reads={"data": "system.Dataset"}), pipelines.python("use"))


class Folder(StandInStore):
    """The real store of a folder, which may be away."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.store = ArtifactStore(folder / "artifacts", folder / "projects")
        self.root = self.store.root
        self.away = False

    async def exists(self, uri: str) -> bool:
        return await self.store.exists(uri)

    def owns(self, uri: str) -> bool:
        return self.store.owns(uri)

    async def delete(self, uri: str) -> None:
        if self.away:
            raise Unavailable("the store is away")
        await self.store.delete(uri)

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        async for piece in self.store.read(uri, path):
            yield piece

    async def part(self, uri: str, path: str, start: int, count: int) -> tuple[bytes, int]:
        return await self.store.part(uri, path, start, count)


async def made(step: Step) -> Ended:
    """Write every output artifact, and commit it."""
    artifacts: dict[str, list[StoredArtifact]] = {}
    for name, listed in (step.told["executorInput"].get("outputs", {}).get("artifacts") or {}).items():
        uri = listed["artifacts"][0]["uri"]
        path = Path(uri.removeprefix("file://"))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"12345")
        digest = "sha256:" + hashlib.sha256(b"12345").hexdigest()
        artifacts[name] = [StoredArtifact(name, uri, "system.Dataset", {}, digest, 5)]
    if artifacts:
        await step.commit(StagedOutputs(artifacts=artifacts))
    return Ended()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, Machine(made), artifacts=Folder(tmp_path))


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncGenerator[Hub]:
    async with hub(world) as life:
        yield life


def making(*, cache: bool = False) -> Json:
    tasks = {
        "make": pipelines.task("make", cache=cache),
        "use": pipelines.task("use", artifacts={"data": ("make", "data")}),
        "other": pipelines.task("make"),
    }
    return pipelines.pipeline(tasks, {"make": MAKE, "use": USE})


def importing(uri: str) -> Json:
    spec = {"artifactUri": {"constant": uri}, "typeSchema": {"schemaTitle": "system.Dataset"}}
    output = {"artifacts": {"artifact": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    part = ({"executorLabel": "exec-bring", "outputDefinitions": output}, {"importer": spec})
    return pipelines.pipeline({"bring": pipelines.task("bring")}, {"bring": part})


async def run(life: Hub, pipeline: Json) -> str:
    record = await life.submit(pipeline)
    assert (await life.end(record.id)).state == "SUCCEEDED"
    return record.id


async def delete(life: Hub, run_id: str, **options: bool) -> Deleted:
    return await life.feature.deletions.delete(run_id, **options)


def files(world: World) -> list[str]:
    return sorted(name for _, _, names in os.walk(world.folder / "artifacts") for name in names)


async def test_a_run_goes_with_its_artifacts_and_its_folder(world: World) -> None:
    async with running(world) as life:
        first, second = await run(life, making()), await run(life, making())
        done = await delete(life, first)
        assert (done.artifacts, done.bytes, done.kept, done.pending) == (2, 10, (), 0)
        assert life.feature.history.run(first) is None
        assert not list((world.folder / "artifacts").rglob(first))
        assert files(world) == ["data", "data"]
        assert life.states(second)["make"] == "SUCCEEDED"
        with pytest.raises(NotFound, match=f"run '{first}' not found"):
            await delete(life, first)


async def test_what_another_run_took_from_the_cache_stays_until_that_one_goes(world: World) -> None:
    async with running(world) as life:
        first = await run(life, making(cache=True))
        second = await run(life, making(cache=True))
        assert life.states(second)["make"] == "CACHED"
        done = await delete(life, first)
        assert done.artifacts == 1
        assert [(kept.name, kept.reason) for kept in done.kept] == [("data", f"run {second} uses it")]
        assert files(world) == ["data", "data"]
        record = life.feature.history.artifact(done.kept[0].artifact_id)
        assert record is not None
        assert (record.run, record.task) == (None, "make")
        assert (await delete(life, second)).artifacts == 2
        assert files(world) == []
        assert life.feature.history.artifact(record.id) is None


async def test_what_was_imported_stays(world: World) -> None:
    outside = world.folder / "mine.csv"
    outside.write_text("a,b")
    async with running(world) as life:
        first = await run(life, importing(outside.as_uri()))
        done = await delete(life, first)
        assert (done.artifacts, [kept.reason for kept in done.kept]) == (0, ["it was imported, so it is not the run's own"])
        maker = await run(life, making())
        uri = next(record.artifact.uri for record in life.made(maker) if record.task == "make")
        importer = await run(life, importing(uri))
        done = await delete(life, maker)
        assert [kept.reason for kept in done.kept] == [f"run {importer} uses it"]
        assert files(world) == ["data"]
    assert outside.read_text() == "a,b"


async def test_artifacts_can_be_kept_with_their_records(world: World) -> None:
    async with running(world) as life:
        first = await run(life, making())
        made = life.made(first)
        done = await delete(life, first, keep_artifacts=True)
        assert (done.artifacts, files(world)) == (0, ["data", "data"])
        kept = [life.feature.history.artifact(record.id) for record in made]
        assert [record is not None and record.run is None for record in kept] == [True, True]


async def test_a_run_that_is_going_on_is_ended_first(world: World) -> None:
    async with hub(world, node=False) as life:
        record = await life.submit(making())
        await delete(life, record.id)
        assert life.feature.history.run(record.id) is None
        assert life.feature.controller.worker(record.id) is None


async def test_a_store_that_is_away_is_emptied_later_even_by_another_hub(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.deletions._PATIENCE", 0.05)
    assert isinstance(world.artifacts, Folder)
    async with running(world) as life:
        first = await run(life, making())
        world.artifacts.away = True
        assert (await delete(life, first)).pending == 1
        assert files(world) == ["data", "data"]
    world.artifacts.away = False
    async with running(world) as life:
        await life.until(lambda: not files(world))


async def test_a_deletion_that_was_only_asked_for_goes_on_at_the_next_start(world: World) -> None:
    async with running(world) as life:
        first = await run(life, making())
        life.feature.deletions._note([(first, "run", 0)])
    async with running(world) as life:
        await life.until(lambda: life.feature.history.run(first) is None and not files(world))


async def test_nothing_is_taken_from_the_cache_that_was_deleted_while_the_store_was_asked(world: World) -> None:
    async with running(world) as life:
        first = await run(life, making(cache=True))
        asked = world.artifacts.exists

        async def exists(uri: str) -> bool:
            found = await asked(uri)
            if life.feature.history.run(first) is not None:
                await delete(life, first)
            return found

        world.artifacts.exists = exists  # the deletion comes exactly between the question and the answer
        second = await run(life, making(cache=True))
        assert life.states(second)["make"] == "SUCCEEDED"
        assert files(world) == ["data", "data"]
