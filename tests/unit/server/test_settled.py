"""With ``KEDGE_SYNCHRONOUS=FULL`` no answer leaves before what it tells of is on the disk."""

import asyncio
import errno
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from kedge.kube.core import CONFIG_MAP, KINDS, NAMESPACE
from kedge.server.api import Api
from kedge.server.auth import Authenticator
from kedge.server.connections import Connection
from kedge.server.http import routes
from kedge.server.listen import Listeners
from kedge.server.settled import Settled
from kedge.server.streams import Streams
from kedge.store import disk as disks
from kedge.store.disk import Disk
from kedge.store.log import ObjectLog
from kedge.testing.clock import FakeIds


async def test_an_answer_waits_for_the_disk_and_so_does_what_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []

    def counted(file: int) -> None:
        os.fsync(file)
        turns.append(file)

    monkeypatch.setattr(disks, "_to_disk", counted)
    path = tmp_path / "objects.db"
    with closing(ObjectLog(path)) as log, closing(Disk(log, path)) as disk:
        answers: list[tuple[str, int]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            if scope["method"] == "POST":
                log.create("/a", b"1")
            await send({"type": "http.response.start", "status": 200 if log.get("/a") else 404, "headers": []})
            answers.append((scope["method"], len(turns)))
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(Settled(app, disk))
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            assert (await client.get("/")).status_code == 404
            answers.clear()
            wrote, read = await asyncio.gather(client.post("/"), client.get("/"))
            assert wrote.status_code == read.status_code == 200
        assert sorted(answers) == [("GET", answers[0][1]), ("POST", answers[0][1])]
        assert answers[0][1] >= 1
        assert not disk.is_behind


async def test_after_a_power_cut_everything_that_was_answered_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the disk after each fsync holds whatever was answered until the next one, checkpoints or not."""
    path, images = tmp_path / "objects.db", list[Path]()

    def pictured(file: int) -> None:
        os.fsync(file)
        images.append(tmp_path / f"image-{len(images)}.db")
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", f"{images[-1]}{end}")

    monkeypatch.setattr(disks, "_to_disk", pictured)
    answered: list[tuple[int, str, int]] = []  # image, key, revision
    with closing(ObjectLog(path)) as log, closing(Disk(log, path)) as disk:
        log._db.execute("PRAGMA wal_autocheckpoint = 10")  # pages, so that the write-ahead log begins anew several times

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            key = scope["path"]
            head = log.get(key)
            record = log.create(key, b"x" * 5000) if head is None else log.update(key, b"y" * 5000, head.revision)
            headers = [(b"revision", b"%d" % record.revision)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

        async def write(client: httpx.AsyncClient, number: int) -> None:
            for _ in range(6):
                answer = await client.post(f"/{number}")
                answered.append((len(images) - 1, f"/{number}", int(answer.headers["revision"])))

        transport = httpx.ASGITransport(Settled(app, disk))
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            await asyncio.gather(*(write(client, number) for number in range(8)))
    assert len(answered) == 48
    assert 0 < len(images) < len(answered)
    assert all(at >= 0 for at, _, _ in answered)
    for number, image in enumerate(images):
        with closing(ObjectLog(image)) as found:
            for at, key, revision in answered:
                if at <= number:
                    record = found.get(key)
                    assert record is not None, (image, key)
                    assert record.revision >= revision


async def test_when_the_disk_has_refused_nothing_is_answered_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, failures = tmp_path / "objects.db", [OSError(errno.EIO, "Input/output error")]

    def once(_file: int) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(disks, "_to_disk", once)
    with closing(ObjectLog(path)) as log, closing(Disk(log, path)) as disk:

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"it is written"})

        transport = httpx.ASGITransport(Settled(app, disk))
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
            for _ in range(2):  # the system says of the second fsync that all is well
                answer = await client.post("/")
                assert answer.status_code == 500
                assert "objects.db-wal: the disk refused" in answer.json()["message"]


WATCH = b"GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer owner-token\r\n\r\n"


@pytest.mark.parametrize("refuses", [False, True], ids=["the disk takes it", "the disk refuses"])
async def test_watches_are_told_of_what_is_on_the_disk(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    """However many: all of what was written in one turn by one fsync, and of what the disk refused nothing."""
    seen: list[str] = []
    sent = Connection.write_chunk

    def to_disk(_file: int) -> None:
        seen.append("disk")
        if refuses and len(seen) > 1:
            raise OSError(errno.EIO, "Input/output error")

    def told(connection: Connection, piece: bytes) -> bool:
        seen.append(f"{piece.count(b'ADDED')} told")
        return sent(connection, piece)

    monkeypatch.setattr(disks, "_to_disk", to_disk)
    monkeypatch.setattr(Connection, "write_chunk", told)
    path = tmp_path / "objects.db"
    with closing(ObjectLog(path)) as log, closing(Disk(log, path)) as disk:
        api = Api(log, KINDS, served.clock, FakeIds(), tokens=served.tokens)
        api.create(NAMESPACE, {"metadata": {"name": "default"}})
        streams = Streams(disk)
        app = Starlette(routes=routes(api, Authenticator("owner-token", served.tokens, api), version="0", streams=streams))
        listeners = Listeners(https=None)
        port = listeners.open().http
        await listeners.start(Settled(app, disk))
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in connections:
            writer.write(WATCH)
            assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert seen == ["disk"]  # before the first head
        await asyncio.sleep(0)  # until all of them wait
        for name in ("a", "b"):
            api.create(CONFIG_MAP, {"metadata": {"name": name}})
        answers = [await reader.read(1 << 16) for reader, _ in connections]
        if refuses:
            assert answers == [b"", b"", b""]
            assert seen == ["disk", "disk"]
        else:
            assert [answer.count(b"ADDED") for answer in answers] == [2, 2, 2]
            assert seen == ["disk", "disk", "2 told", "2 told", "2 told"]
        for _, writer in connections:
            writer.close()
        await listeners.stop(streams.close)
