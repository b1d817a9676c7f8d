"""Logs of ended steps are copied when no step has ended for a moment, and not much later where one always does."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from kedge.client.local import LocalClient
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines.archive import LogArchive, Parts
from kedge.server.logs import LogOptions
from kedge.testing import pipelines
from kedge.testing.clock import FakeClock
from kedge.testing.runs import StandInStore, World, hub


class _Log:
    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        del pod, container, options
        yield b"a line\n"


class _Store(StandInStore):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    async def exists(self, uri: str) -> bool:
        return uri in self.written

    async def write(self, uri: str, data: bytes) -> None:
        assert data == b"a line\n"
        self.written.append(uri)


class _Bench:
    """An archive, a clock that stands still, and Pods that have ended."""

    def __init__(self, archive: LogArchive, clock: FakeClock, store: _Store, pods: list[Obj]) -> None:
        self.archive = archive
        self.clock = clock
        self.store = store
        self.pods = pods


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[_Bench]:
    async with hub(World.new(tmp_path / "world")) as life:
        run = await life.submit(pipelines.chain(3))
        await life.end(run.id)
        pods = (await LocalClient(life.api).list(POD)).items
        clock, store = FakeClock(), _Store()
        client = LocalClient(World.new(tmp_path / "empty").api())  # nothing is left from before
        archive = LogArchive(Parts(client, _Log(), store, life.feature.history, clock))
        await archive.start()
        yield _Bench(archive, clock, store, pods)
        await archive.stop()


async def test_logs_are_copied_when_nothing_has_ended_for_a_second(bench: _Bench) -> None:
    for pod in bench.pods:
        bench.archive.settled(pod)
        await bench.clock.advance(0.9)
    assert bench.store.written == []
    await bench.clock.advance(0.2)
    assert [uri.split("/")[-3] for uri in bench.store.written] == ["s0", "s1", "s2"]


async def test_where_steps_end_without_a_pause_logs_are_copied_after_ten_seconds(bench: _Bench) -> None:
    first, second, *_ = bench.pods
    bench.archive.settled(first)
    for _ in range(10):
        await bench.clock.advance(0.99)
        bench.archive.settled(second)
    assert bench.store.written == []
    await bench.clock.advance(0.2)
    assert len(bench.store.written) == 2
