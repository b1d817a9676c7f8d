"""A run goes to another host as one file, and nothing in such a file is trusted."""

import asyncio
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kedge.artifacts import content
from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.artifacts.store import ArtifactStore
from kedge.errors import AlreadyExists, BadRequest, Conflict, KedgeError, NotFound, TooLarge, Unavailable
from kedge.pipelines import portable
from kedge.pipelines.imports import Imports
from kedge.pipelines.portable import Exports
from kedge.pipelines.records import PodEvent, RunRecord
from kedge.pipelines.series import PAGE, SeriesKey
from kedge.server.logs import LogOptions
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, StandInStore, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

Json = dict[str, Any]
LOG = b"2026-11-24T08:00:00Z hello\n"
WRITES = {"file": "system.Dataset", "folder": "system.Model"}
MAKE = (pipelines.component("make", {}, {}, writes=WRITES), pipelines.python("make"))
USE = (pipelines.component("use", reads={"data": "system.Dataset"}), pipelines.python("use"))


class Folder(StandInStore):
    """The real store of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.store = ArtifactStore(folder / "artifacts", folder / "projects")
        self.root = self.store.root
        self.scratch = self.store.scratch
        for name in ("exists", "files", "read", "write", "take", "owns", "delete"):
            setattr(self, name, getattr(self.store, name))


async def made(step: Step) -> Ended:
    """Write a file, and a folder of two."""
    outputs = step.told["executorInput"].get("outputs", {}).get("artifacts") or {}
    artifacts: dict[str, list[StoredArtifact]] = {}
    for name, listed in outputs.items():
        uri = listed["artifacts"][0]["uri"]
        path = Path(uri.removeprefix("file://"))
        for inner in ("a.csv", "deep/ä %41.bin") if name == "folder" else ("",):
            target = path / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(os.urandom(70_000) if name == "folder" else b"12345")
        if name == "folder":
            text = msgspec.json.encode(content.manifest_of(path))
            path.with_name(path.name + content.MANIFEST_SUFFIX).write_bytes(text)
        found = content.measure(path)
        artifacts[name] = [StoredArtifact(name, uri, WRITES[name], {"rows": 3}, found.digest, found.size)]
    if artifacts:
        await step.commit(StagedOutputs(artifacts=artifacts))
    return Ended()


@pytest.fixture
def here(tmp_path: Path) -> World:
    (tmp_path / "here").mkdir()
    return World(tmp_path / "here", Machine(made), artifacts=Folder(tmp_path / "here"))


@pytest.fixture
def there(tmp_path: Path) -> World:
    (tmp_path / "there").mkdir()
    return World(tmp_path / "there", Machine(made), artifacts=Folder(tmp_path / "there"))


async def finished(life: Hub, *, cache: bool = True) -> str:
    tasks = {"make": pipelines.task("make", cache=cache), "use": pipelines.task("use", artifacts={"data": ("make", "file")})}
    run = await life.submit(pipelines.pipeline(tasks, {"make": MAKE, "use": USE}))
    assert (await life.end(run.id)).state == "SUCCEEDED"
    await life.world.artifacts.write(f"{run.pipeline_root}/{run.id}/make/0/executor-logs", LOG)
    return run.id


async def exported(life: Hub, run: str) -> bytes:
    feature = life.feature
    exports = Exports(feature.history, life.world.artifacts, feature._logs, series=feature.series, events=feature.events)
    pieces = await exports.open(run)
    return b"".join([piece async for piece in pieces])


async def in_pieces(data: bytes, piece: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


def importer(life: Hub) -> Imports:
    feature = life.feature
    return Imports(
        feature.history,
        feature._catalog,
        life.world.artifacts,
        series=feature.series,
        events=feature.events,
        deletions=feature.deletions,
    )


async def imported(life: Hub, data: bytes, piece: int = 1000) -> RunRecord:
    return await importer(life).take(in_pieces(data, piece))


async def begun(life: Hub, data: bytes) -> None:
    """Import a run until all of its files are there, and then as if the host had been killed."""

    class KilledError(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise KilledError

    imports, deletions = importer(life), life.feature.deletions
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(imports, "_write", kill)
        patch.setattr(deletions, "give_up", kill)
        await imports.take(in_pieces(data, 1000))


def files(world: World) -> list[str]:
    return sorted(name for _, _, names in os.walk(world.folder / "artifacts") for name in names)


async def test_a_run_is_the_same_on_another_host_and_its_results_are_reused_there(here: World, there: World) -> None:
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
        tasks, attempts = life.feature.history.tasks(run), life.feature.history.attempts(run)
        before = {record.id: record.artifact for record in life.made(run)}
    async with hub(there) as life:
        record = await imported(life, data)
        assert (record.id, record.state) == (run, "SUCCEEDED")
        assert {task.id: task.state for task in life.feature.history.tasks(run)} == {task.id: task.state for task in tasks}
        assert len(life.feature.history.attempts(run)) == len(attempts)
        after = {one.id: one.artifact for one in life.made(run)}
        assert after.keys() == before.keys()
        for key, artifact in after.items():
            assert artifact.uri.startswith(there.artifacts.root)
            path = Path(artifact.uri.removeprefix("file://"))
            assert content.check(path, artifact.digest, artifact.size) == ""
            assert content.measure(path).digest == before[key].digest
        log = life.feature._logs.read(record, "make", 0, LogOptions())
        assert b"".join([piece async for piece in log]) == b"hello\n"
        again = await life.submit(life.feature.history.spec(record.spec_digest).pipeline)  # pyright: ignore[reportOptionalMemberAccess]
        await life.end(again.id)
        assert life.states(again.id)["make"] == "CACHED"


async def test_what_was_said_of_pods_and_every_point_of_a_long_series_go_with_a_run(here: World, there: World) -> None:
    key = SeriesKey("make", "loss", artifact="metrics")
    points = {step: (step, float(step)) for step in range(2 * PAGE + 1)}
    async with hub(here) as life:
        run = await finished(life)
        life.feature.series.record(run, {key: points})
        moment = life.feature.history.attempts(run)[0].created_at
        said = [
            PodEvent(
                id=f"e{number}", run=run, task="make", attempt=0, type="Warning", reason=f"R{number}", message="why", source="node",
                count=number, first_at=moment, last_at=moment, position=number,
            )
            for number in (1, 2)
        ]  # fmt: skip
        with life.feature.events._database.transaction() as connection:
            life.feature.events.write(connection, said)
        data = await exported(life, run)
        (before,) = life.feature.series.summaries(run)
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:  # a part each, so that none fills the memory
            assert len([name for name in archive.getnames() if name.startswith("series/")]) == 3
    async with hub(there) as life:
        await imported(life, data)
        assert life.feature.events.of_run(run) == said
        (after,) = life.feature.series.summaries(run)
        assert (after.key, after.count, after.last) == (before.key, before.count, before.last)
        assert {point.step: (point.at, point.value) for point in await life.feature.series.points(after)} == points


async def test_importing_twice_is_refused_and_after_a_deletion_it_works_again(here: World, there: World) -> None:
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
        with pytest.raises(Conflict, match="is here already. Delete it first"):
            await imported(life, data)
    async with hub(there) as life:
        await imported(life, data)
        before = files(there)
        await life.feature.deletions.delete(run)
        await life.until(lambda: not files(there))
        await imported(life, data)
        assert files(there) == before


async def test_what_was_written_of_a_run_when_its_host_was_killed_is_gone_after_the_next_start(here: World, there: World) -> None:
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
    async with hub(there) as life:
        await begun(life, data)
        assert files(there)
    async with hub(there) as life:
        await life.until(lambda: not files(there))
        assert (await imported(life, data)).id == run
        came = files(there)
    async with hub(there) as life:
        await life.feature.deletions.cleared("file:///")
        assert files(there) == came


async def test_a_run_is_imported_by_one_at_a_time(here: World, there: World) -> None:
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
    async with hub(there) as life:
        halfway = asyncio.Event()
        imports = importer(life)

        async def cut() -> AsyncIterator[bytes]:
            yield data[: len(data) // 2]
            halfway.set()
            await asyncio.sleep(3600)

        first = asyncio.create_task(imports.take(cut()))
        await halfway.wait()
        with pytest.raises(AlreadyExists, match="is being imported just now"):
            await imports.take(in_pieces(data, 1000))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert files(there) == []
        assert (await imports.take(in_pieces(data, 1000))).id == run


async def test_an_import_waits_for_what_is_still_being_deleted_in_its_place(
    here: World, there: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hub(here) as life:
        data = await exported(life, await finished(life))
    async with hub(there) as life:
        record = await imported(life, data)
        came = files(there)
        monkeypatch.setattr("kedge.pipelines.deletions._PATIENCE", 0.1)
        answers = asyncio.Event()
        delete = there.artifacts.delete

        async def slowly(uri: str) -> None:
            await answers.wait()
            await delete(uri)

        monkeypatch.setattr(there.artifacts, "delete", slowly)
        assert (await life.feature.deletions.delete(record.id)).pending
        with pytest.raises(Unavailable, match="is still being deleted"):
            await imported(life, data)
        answers.set()
        monkeypatch.undo()
        await imported(life, data)
        await life.feature.deletions.cleared("file:///")
        assert files(there) == came


async def test_what_cannot_be_exported_says_why(here: World) -> None:
    async with hub(here, node=False) as life:
        with pytest.raises(NotFound, match="run 'x' not found"):
            await exported(life, "x")
        going = await life.submit(pipelines.chain(1))
        with pytest.raises(BadRequest, match="only one that is over can be exported"):
            await exported(life, going.id)


def rebuilt(data: bytes, change: Any) -> bytes:
    """The file with its members changed; checksums are made anew, as somebody who means harm would."""
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        for info in archive:
            file = archive.extractfile(info)
            members.append((info, b"" if file is None else file.read()))
    members = change(members[:-1])
    sums = {info.name: hashlib.sha256(text).hexdigest() for info, text in members}
    members.append((tarfile.TarInfo("checksums.json"), msgspec.json.encode(sums)))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for info, text in members:
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return out.getvalue()


def edited(path: tuple[Any, ...], value: Any) -> Any:
    """Change one field of ``run.json``."""

    def change(members: list[Any]) -> list[Any]:
        document = msgspec.json.decode(members[0][1])
        place = document
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        return [(members[0][0], msgspec.json.encode(document)), *members[1:]]

    return change


def renamed(name: str, kind: bytes = tarfile.REGTYPE) -> Any:
    def change(members: list[Any]) -> list[Any]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        return [members[0], (info, members[1][1] if kind == tarfile.REGTYPE else b""), *members[2:]]

    return change


def flipped(members: list[Any]) -> list[Any]:
    return [members[0], *((info, b"!" + text[1:]) for info, text in members[1:])]


HARM = {
    "a name that leaves the folder": (renamed("../../evil"), r"member '\.\./\.\./evil' where the file artifacts/0"),
    "an absolute name": (renamed("/tmp/evil"), "member '/tmp/evil' where"),  # noqa: S108  # it must not be written
    "a link": (renamed("artifacts/0", tarfile.SYMTYPE), "member 'artifacts/0' where the file artifacts/0 must be"),
    "other bytes": (flipped, "is not what the run committed"),
    "a run id that is a path": (edited(("run", "id"), "../../x"), "the id '../../x' is none that a host gives"),
    "an artifact id that is a path": (edited(("artifacts", 0, "id"), "../y"), "is none that a host gives"),
    "a task that is a path": (edited(("tasks", 1, "id"), "../z"), "is not described|has a name that no pipeline gives"),
    "another pipeline": (edited(("spec", "pipeline", "pipelineInfo"), {"name": "other"}), "not the one that the run names"),
    "a newer format": (edited(("version",), 4), "the file has format 4; this host reads 1, 2, 3"),
    "a run that goes on": (edited(("run", "state"), "RUNNING"), "only runs that are over can be imported"),
    "a number that no database holds": (edited(("attempts", 0, "number"), 1 << 70), "too large"),
    "millions of values in few bytes": (
        edited(("spec", "pipeline", "x"), [[]] * 1000),
        r"run\.json: holds [\d,]+ values; at most",
    ),
    "a field of another type": (edited(("tasks",), 7), r"its run.json cannot be read: Expected `array`, got `int`"),
}


@pytest.mark.parametrize("name", HARM)
async def test_a_file_that_means_harm_is_refused_and_leaves_nothing(
    here: World, there: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = HARM[name]
    if "values" in message:
        monkeypatch.setattr(portable, "MOST_VALUES", 1000)
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
    async with hub(there) as life:
        with pytest.raises((BadRequest, TooLarge), match=message):
            await imported(life, rebuilt(data, change))
        assert files(there) == []
        assert life.feature.history.run(run) is None
        assert not (there.folder.parent / "evil").exists()


async def test_a_file_of_the_first_format_is_still_read(here: World, there: World) -> None:
    def older(members: list[Any]) -> list[Any]:
        document = msgspec.json.decode(members[0][1]) | {"version": 1}
        del document["series"], document["events"]
        return [(members[0][0], msgspec.json.encode(document)), *members[1:]]

    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
    async with hub(there) as life:
        assert (await imported(life, rebuilt(data, older))).id == run


async def test_a_file_that_was_cut_or_damaged_anywhere_is_refused(here: World, there: World) -> None:
    async with hub(here) as life:
        run = await finished(life)
        data = await exported(life, run)
    async with hub(there) as life:
        for kept in range(0, len(data) - 40, len(data) // 23):
            with pytest.raises(BadRequest, match="cut short|no exported run"):
                await imported(life, data[:kept], 10_000)
        for place in range(20, len(data) - 40, len(data) // 23):
            with pytest.raises(KedgeError):
                await imported(life, data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :], 10_000)
        assert files(there) == []
        assert (await imported(life, data, len(data))).id == run
