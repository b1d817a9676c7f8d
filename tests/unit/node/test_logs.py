"""Reading logs: all of it, the end of it, while it is written and turned over."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kedge.errors import BadRequest
from kedge.kube.clock import SystemClock
from kedge.kube.kinds import Obj
from kedge.node.logs import NodeLogs, Shown, last_lines
from kedge.server.logs import LogOptions
from kedge.supervisor.logs import Log

POD: Obj = {"metadata": {"name": "p", "uid": "u"}}
NOW = 1_795_473_378.0


class Source:
    """The log of one container, as the supervisor writes it."""

    def __init__(self, place: Path, limit: int = 1 << 20, attempt: int = 0) -> None:
        (place / "u").mkdir(exist_ok=True)
        self.path = place / "u" / f"main.{attempt}.log"
        self.log = Log(str(self.path), limit, [])
        self.shown: Shown | None = Shown(attempt, running=True)
        self.logs = NodeLogs(place, SystemClock(), lambda _uid, _name: self.shown)

    def write(self, text: str, stream: str = "stdout", at: float = NOW) -> None:
        self.log.write(stream, text.encode(), at)

    async def read(self, **options: Any) -> str:
        return b"".join([piece async for piece in self.logs.read(POD, "main", LogOptions(**options))]).decode()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


async def test_both_streams_come_in_the_order_they_were_written(source: Source) -> None:
    source.write("one\n")
    source.write("two\n", "stderr")
    assert await source.read() == "one\ntwo\n"


async def test_parts_of_a_long_line_are_joined(source: Source) -> None:
    source.write("x" * 50000 + "\n")
    assert await source.read() == "x" * 50000 + "\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tail": 2}, "b\nc\n"),
        ({"tail": 0}, ""),
        ({"tail": 9}, "a\nb\nc\n"),
        ({"limit_bytes": 3}, "a\nb"),
        ({"tail": 2, "limit_bytes": 3}, "b\nc"),
        ({"since": datetime.fromtimestamp(NOW + 1, UTC)}, "b\nc\n"),
        ({"since": datetime.fromtimestamp(NOW + 9, UTC)}, ""),
        ({"since": datetime.fromtimestamp(NOW + 1, UTC), "tail": 1}, "c\n"),
    ],
)
async def test_what_is_asked_for(source: Source, options: dict[str, Any], text: str) -> None:
    for number, line in enumerate("abc"):
        source.write(line + "\n", at=NOW + number)
    assert await source.read(**options) == text


async def test_times_are_those_of_writing(source: Source) -> None:
    source.write("a\n")
    assert await source.read(timestamps=True) == "2026-11-23T22:36:18.000000000Z a\n"


async def test_following_ends_with_the_container(source: Source) -> None:
    source.write("a\n")
    reading = asyncio.create_task(source.read(follow=True))
    await asyncio.sleep(0.05)
    source.write("b\n")
    source.shown = Shown(0, running=False)
    assert await reading == "a\nb\n"


async def test_following_loses_nothing_when_the_file_is_turned_over(tmp_path: Path) -> None:
    """As long as the reader is not two files behind."""
    source = Source(tmp_path, limit=64 << 10)
    reading = asyncio.create_task(source.read(follow=True))
    for number in range(4000):
        source.write(f"{number:060d}\n")
        if number % 100 == 0:
            await asyncio.sleep(0.02 if number % 1000 == 0 else 0)
    source.shown = Shown(0, running=False)
    lines = (await reading).splitlines()
    assert source.path.with_name(source.path.name + ".1").exists()
    assert [int(line) for line in lines][-100:] == list(range(3900, 4000))
    assert len(lines) == len(set(lines))


async def test_a_log_of_two_files_is_read_from_the_older(tmp_path: Path) -> None:
    source = Source(tmp_path, limit=20000)
    for number in range(300):
        source.write(f"{number:060d}\n")
    first, *lines = (await source.read()).splitlines()
    numbers = [int(line) for line in lines]
    assert numbers == list(range(numbers[0], 300))
    missing = f"kedge: the first {numbers[0] * 61:,} bytes of this log are missing: 20,000 bytes are kept of a log "
    assert first == missing + "(KEDGE_LOG_LIMIT of the host)."
    assert [int(line) for line in (await source.read(tail=50)).splitlines()] == numbers[-50:]
    assert (await source.read(tail=300)).splitlines() == [first, *lines]


async def test_the_previous_attempt_has_its_own(tmp_path: Path) -> None:
    Source(tmp_path).write("first\n")
    source = Source(tmp_path, attempt=1)
    source.write("second\n")
    assert await source.read() == "second\n"
    assert await source.read(previous=True) == "first\n"


async def test_what_is_not_there_is_said(tmp_path: Path, source: Source) -> None:
    with pytest.raises(BadRequest, match='previous terminated container "main" in pod "p" not found'):
        await source.read(previous=True)
    source.path.unlink()
    with pytest.raises(BadRequest, match='container "main" in pod "p" is waiting to start: ContainerCreating'):
        await source.read()


async def test_a_log_outlives_its_container(source: Source) -> None:
    """Nothing is known of the Pod any more but its files."""
    source.write("a\n")
    source.shown = None
    assert await source.read(follow=True) == "a\n"


def test_the_end_of_a_log_as_a_message(source: Source) -> None:
    for number in range(1000):
        source.write(f"{number}\n")
    assert last_lines(source.path, count=3) == "997\n998\n999\n"
    assert len(last_lines(source.path, size=100)) == 100


BAR = "10%|# | 1/10 [00:01<00:09, 1.0 it/s]\r20%|## | 2/10 [00:02<00:08, 1.0 it/s]\r"


@pytest.mark.parametrize("text", [BAR + "\n", "\x1b[31mred\x1b[0m\x0b\x0c\x1c\x85\u2028end\n", "a\r\nb\r\n", "\n\n"])
async def test_what_a_container_wrote_is_shown_byte_for_byte(source: Source, text: str) -> None:
    source.write(text)
    assert await source.read() == text


async def test_binary_output_is_shown_byte_for_byte(source: Source) -> None:
    everything = bytes(range(256)) * 300 + b"\n"
    source.log.write("stdout", everything, NOW)
    assert b"".join([piece async for piece in source.logs.read(POD, "main", LogOptions())]) == everything


async def test_a_long_line_has_one_time_and_counts_once(source: Source) -> None:
    source.write("first\n" + "x" * 50000 + "\nlast\n")
    lines = (await source.read(timestamps=True)).splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["first", "x" * 50000, "last"]
    assert await source.read(tail=2) == "x" * 50000 + "\nlast\n"


async def test_a_long_line_is_as_old_as_its_beginning(source: Source) -> None:
    source.write("x" * 50000)
    source.write("y\nlast\n", at=NOW + 1)
    assert await source.read(since=datetime.fromtimestamp(NOW + 1, UTC)) == "last\n"
    assert (await source.read(since=datetime.fromtimestamp(NOW, UTC)))[-7:] == "y\nlast\n"
