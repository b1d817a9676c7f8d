"""What was written is on the disk before anybody is told, and those who write at once wait for it together."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kedge.errors import StateError
from kedge.store import disk as disks
from kedge.store.disk import Disk
from kedge.store.log import ObjectLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ObjectLog]:
    with closing(ObjectLog(tmp_path / "objects.db")) as log:
        yield log


async def test_those_who_write_at_once_wait_for_one_turn_of_the_disk(
    log: ObjectLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []

    def counted(file: int) -> None:
        os.fsync(file)
        turns.append(log.current())

    monkeypatch.setattr(disks, "_to_disk", counted)
    with closing(Disk(log, tmp_path / "objects.db")) as disk:

        async def write(number: int) -> None:
            log.create(f"/a/{number}", b"1")
            assert disk.is_behind
            await disk.reach()
            assert turns

        await asyncio.gather(*(write(number) for number in range(8)))
        assert turns == [8]
        assert not disk.is_behind
        await write(8)
        assert turns == [8, 9]


async def test_whoever_is_gone_does_not_take_the_others_along(log: ObjectLog, tmp_path: Path) -> None:
    with closing(Disk(log, tmp_path / "objects.db")) as disk:
        log.create("/a", b"1")
        gone, stays = asyncio.create_task(disk.reach()), asyncio.create_task(disk.reach())
        await asyncio.sleep(0)
        gone.cancel()
        await stays
        assert gone.cancelled()


async def test_a_disk_that_refuses_is_told_to_all_who_wait_and_to_the_host(
    log: ObjectLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disks, "_to_disk", broken)
    told: list[StateError] = []
    with closing(Disk(log, tmp_path / "objects.db")) as disk:
        disk.on_failure = told.append
        log.create("/a", b"1")
        with pytest.raises(StateError, match=r"objects.db-wal: the disk refused .*Input/output error.*start again"):
            await disk.reach()
        assert disk.is_behind
    assert len(told) == 1


async def test_a_disk_that_has_refused_is_not_believed_again(
    log: ObjectLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed fsync a system says of the same file that all is well, and what it could not write is gone."""
    answers = [OSError(errno.EIO, "Input/output error")]

    def once(_file: int) -> None:
        if answers:
            raise answers.pop()

    monkeypatch.setattr(disks, "_to_disk", once)
    with closing(Disk(log, tmp_path / "objects.db")) as disk:
        log.create("/a", b"1")
        for _ in range(2):
            with pytest.raises(StateError, match="the disk refused"):
                await disk.reach()
            assert disk.is_behind


def test_the_write_ahead_log_of_a_database_that_is_opened_again_is_there(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    for number in range(2):  # the last one who closes it takes it away
        with closing(ObjectLog(path)) as log, closing(Disk(log, path)) as disk:
            assert disk.is_behind
            log.create(f"/{number}", b"1")


def test_a_disk_below_a_log_that_is_not_open_says_so(log: ObjectLog, tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"other.db-wal: cannot be opened: No such file"):
        Disk(log, tmp_path / "other.db")
