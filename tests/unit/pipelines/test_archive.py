"""Logs of ended steps are copied when no step has ended for a moment, and not much later where one always does."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kedge.client.local import LocalClient
from kedge.errors import TooManyRequests
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines.archive import LogArchive, Parts
from kedge.server.logs import LogOptions
from kedge.testing import pipelines
from kedge.testing.clock import FakeClock
from kedge.testing.runs import StandInStore, World, hub

pytestmark = pytest.mark.usefixtures("either_database")


class _Log:
    """Answers once it is not busy any more."""

    busy = 0

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        del pod, container, options
        if self.busy:
            self.busy -= 1
            raise TooManyRequests("the API server has much to do")
        yield b"a line\n"


class _Store(StandInStore):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    async def exists(self, uri: str) -> bool:
        return uri in self.written

    async def take(self, uri: str, path: str, file: Path) -> None:
        assert (path, file.read_bytes()) == ("", b"a line\n")
        self.written.append(uri)


class _Bench:
    """An archive, a clock that stands still, and Pods that have ended."""

    def __init__(self, archive: LogArchive, clock: FakeClock, store: _Store, pods: list[Obj], log: _Log) -> None:
        self.archive = archive
        self.log = log
        self.clock = clock
        self.store = store
        self.pods = pods


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[_Bench]:
    async with hub(World.new(tmp_path / "world")) as life:
        run = await life.submit(pipelines.chain(3))
        await life.end(run.id)
        pods = (await LocalClient(life.api).list(POD)).items
        clock, store, log = FakeClock(), _Store(), _Log()
        client = LocalClient(World.new(tmp_path / "empty").api())  # nothing is left from before
        archive = LogArchive(Parts(client, log, store, life.feature.history, clock))
        await archive.start()
        yield _Bench(archive, clock, store, pods, log)
        await archive.stop()


async def test_logs_are_copied_when_nothing_has_ended_for_a_second(bench: _Bench) -> None:
    for pod in bench.pods:
        bench.archive.settled(pod)
        await bench.clock.advance(0.9)
    assert bench.store.written == []
    await bench.clock.advance(0.2)
    assert [uri.split("/")[-3] for uri in bench.store.written] == ["s0", "s1", "s2"]


async def test_a_log_waits_for_a_server_that_is_busy(bench: _Bench) -> None:
    bench.log.busy = 2
    bench.archive.settled(bench.pods[0])
    for _ in range(8):
        await bench.clock.advance(2.0)
    assert [uri.split("/")[-3] for uri in bench.store.written] == ["s0"]


async def test_where_steps_end_without_a_pause_logs_are_copied_after_ten_seconds(bench: _Bench) -> None:
    first, second, *_ = bench.pods
    bench.archive.settled(first)
    for _ in range(10):
        await bench.clock.advance(0.99)
        bench.archive.settled(second)
    assert bench.store.written == []
    await bench.clock.advance(0.2)
    assert len(bench.store.written) == 2


async def test_what_a_step_used_is_kept_from_its_pod(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life:
        run = await life.submit(pipelines.chain(3))
        await life.end(run.id)
        client, clock = LocalClient(life.api), FakeClock()
        told = {"s0": '{"main":{"cpuSeconds":1.5,"peakMemoryBytes":64000000}}', "s1": '{"main":{"cpuSeconds":-1}}'}
        archive = LogArchive(Parts(client, _Log(), _Store(), life.feature.history, clock))
        await archive.start()
        for pod in (await client.list(POD)).items:
            metadata = pod["metadata"]
            if text := told.get(metadata["annotations"]["kedge.dev/task"]):
                patch = {"metadata": {"annotations": {"kedge.dev/used": text}}}
                await client.patch(POD, metadata["name"], metadata["namespace"], patch)
            archive.settled(pod)
        await clock.advance(1.1)
        await archive.stop()
        found = {each.task: (each.cpu_seconds, each.peak_memory) for each in life.feature.history.attempts(run.id)}
        assert found == {"s0": (1.5, 64_000_000), "s1": (None, None), "s2": (None, None)}


class _Kept(StandInStore):
    """Holds one log, and hands it out in pieces of a few bytes."""

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        del uri, path
        lines = (b"one two\r three", b"", b"\xff end")
        text = b"".join(b"2026-11-23T22:36:%d.000000000Z %s\n" % (second, line) for second, line in enumerate(lines, 18))
        for start in range(0, len(text), 5):
            yield text[start : start + 5]


async def test_a_kept_log_is_read_in_pieces_without_the_times(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world")) as life:
        run = await life.submit(pipelines.chain(1))
        await life.end(run.id)
        record = life.feature.history.run(run.id)
        assert record is not None
        archive = LogArchive(Parts(LocalClient(life.api), _Log(), _Kept(), life.feature.history, FakeClock()))
        pieces = [piece async for piece in archive.read(record, "s0", 0, LogOptions())]
        assert b"".join(pieces) == b"one two\r three\n\n\xff end\n"
        assert max(map(len, pieces)) <= 5
        since = datetime(2026, 11, 23, 22, 36, 19, tzinfo=UTC)
        for options, text in (
            (LogOptions(tail=1), b"\xff end\n"),
            (LogOptions(tail=2, timestamps=True), b"2026-11-23T22:36:19.000000000Z \n2026-11-23T22:36:20.000000000Z \xff end\n"),
            (LogOptions(since=since), b"\n\xff end\n"),
            (LogOptions(tail=0), b""),
        ):
            assert b"".join([piece async for piece in archive.read(record, "s0", 0, options)]) == text
