"""Watches by the thousand see each change once and in order; one that is not read costs little, and is ended."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import httpx
import pytest

from kedge.kube.core import CONFIG_MAP
from kedge.server import connections, fan_out, listen, parsed, parsed_slowly, patience, streams
from kedge.server import watch as watches
from kedge.server.listen import Listeners

WATCHES = 2000
CHANGES = 12
WATCH = (
    b"GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer owner-token\r\n"
    b"Connection: close\r\n\r\n"
)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def listening(served: Any) -> AsyncGenerator[int]:
    """The port of a server that is ended with its watches."""
    listeners = Listeners(https=None)
    port = listeners.open().http
    await listeners.start(served.app)
    try:
        yield port
    finally:
        await listeners.stop(served.streams.close)


async def watch(port: int) -> Connection:
    """Begin a watch; it has begun when this returns."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(WATCH)
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def told(reader: asyncio.StreamReader, count: int = -1) -> list[tuple[str, str]]:
    """So many events, or all until the end: type, and revision or code."""
    found: list[tuple[str, str]] = []
    rest = b""
    while len(found) != count and (piece := await reader.read(1 << 20)):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b'{"type"'):  # and not the size of a chunk
                event = json.loads(line)
                obj = event["object"]
                found.append((event["type"], obj["metadata"].get("resourceVersion") or str(obj["code"])))
    return found


async def test_two_thousand_watches_see_each_change_once_and_in_order(served: Any) -> None:
    store = served.api.core.store
    async with listening(served) as port:
        opened: list[Connection] = []
        for _ in range(WATCHES // 100):
            opened += await asyncio.gather(*(watch(port) for _ in range(100)))
        before = store.current()
        reading = [asyncio.create_task(told(reader, CHANGES)) for reader, _ in opened]
        for number in range(CHANGES // 3):
            name = f"c{number}"
            served.api.create(CONFIG_MAP, {"metadata": {"name": name}})
            served.api.patch(CONFIG_MAP, name, "default", {"data": {"a": "b"}})
            await asyncio.sleep(0)
            served.api.delete(CONFIG_MAP, name, "default")
        seen = await asyncio.gather(*reading)
        for _, writer in opened:
            writer.close()
    kinds = {(True, False): "ADDED", (False, False): "MODIFIED", (False, True): "DELETED"}
    log = [(kinds[each.created, each.deleted], str(each.revision)) for each in store.after(before, "/registry/configmaps/")]
    assert len(log) == CHANGES
    assert [each for each in seen if each != log] == []


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
async def test_what_is_told_at_once_and_what_waits_for_a_reader_is_one_answer(
    served: Any, parser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    store = served.api.core.store
    ways: set[bool] = set()
    monkeypatch.setattr(connections.Connection, "write_chunk", noting(connections.Connection.write_chunk, ways))
    headers = {"authorization": "Bearer owner-token"}
    async with listening(served) as port, httpx.AsyncClient(headers=headers, timeout=60) as client:
        url = f"http://localhost:{port}/api/v1/configmaps?watch=true&labelSelector=on%3Dyes"
        async with client.stream("GET", url) as answer:
            lines = answer.aiter_lines()  # which is read only from here on, and reads chunks as others do
            start, number = store.current(), 0
            while ways != {True, False}:  # the next one fills what systems keep in both sockets, or finds them full
                size = 500_000 if number % 2 else 1
                made = {"metadata": {"name": f"c{number}", "labels": {"on": "yes"}}, "data": {"a": "x" * size}}
                served.api.create(CONFIG_MAP, made)
                await asyncio.sleep(0.01)
                number += 1
            for name in ("c0", "c1"):  # one that is small, and one that is not
                served.api.patch(CONFIG_MAP, name, "default", {"metadata": {"labels": {"on": "no"}}})
            log = [("ADDED", each) for each in range(number)] + [("DELETED", number), ("DELETED", number + 1)]
            for type_, place in log:
                event = json.loads(await anext(lines))
                assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == (type_, str(start + place + 1))
            served.api.create(CONFIG_MAP, {"metadata": {"name": "last", "labels": {"on": "yes"}}})
            assert json.loads(await anext(lines))["object"]["metadata"]["name"] == "last"
            served.streams.close()
            assert [line async for line in lines] == []  # and it has an end


def noting(
    write: Callable[[connections.Connection, bytes], bool], ways: set[bool]
) -> Callable[[connections.Connection, bytes], bool]:
    """The same, which notes whether it could."""

    def noted(connection: connections.Connection, piece: bytes) -> bool:
        done = write(connection, piece)
        ways.add(done)
        return done

    return noted


async def test_a_watch_in_http_1_0_is_told_without_chunks(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "Http", parsed_slowly.Http)
    async with listening(served) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WATCH.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert b"chunked" not in await reader.readuntil(b"\r\n\r\n")
        for name in ("a", "b"):
            served.api.create(CONFIG_MAP, {"metadata": {"name": name}})
            assert json.loads(await reader.readline())["object"]["metadata"]["name"] == name
        writer.close()


@pytest.mark.parametrize("changes", [11, 12, 13])
async def test_a_watch_from_long_ago_is_told_of_each_change_once(
    changes: int, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_PORTION", 4)
    store = served.api.core.store
    before, found = store.current(), list[str]()
    for number in range(changes):
        served.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}"}})
    served.api.subscribe(
        CONFIG_MAP, None, lambda event: found.append(event.object["metadata"]["name"]), resource_version=str(before)
    )
    assert found == [f"c{number}" for number in range(changes)]


async def test_a_watch_that_is_not_read_keeps_so_much_and_is_ended_with_410(served: Any) -> None:
    store = served.api.core.store
    large = "x" * 500_000
    async with listening(served) as port:
        reader, writer = await watch(port)
        before = store.current()
        for number in range(3 * fan_out.BACKLOG_BYTES // len(large)):
            served.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}"}, "data": {"a": large}})
            await asyncio.sleep(0)
        seen = await told(reader)
        writer.close()
    log = [("ADDED", str(each.revision)) for each in store.after(before, "/registry/configmaps/")]
    assert seen[-1] == ("ERROR", "410")
    assert seen[:-1] == log[: len(seen) - 1]
    most = fan_out.BACKLOG_BYTES + (16 << 20)  # what systems keep in both sockets
    assert 0 < (len(seen) - 1) * len(large) < most


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
@pytest.mark.parametrize("ends", ["its time is over", "too much has come"])
async def test_a_watch_that_is_never_read_is_cut_off(
    served: Any, ends: str, parser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    monkeypatch.setattr(streams, "UNREAD_SECONDS", 0.1)
    asked = WATCH
    if ends == "its time is over":
        asked = WATCH.replace(b"watch=true", b"watch=true&timeoutSeconds=1")
    else:
        monkeypatch.setattr(fan_out, "BACKLOG_BYTES", 1 << 20)
    async with listening(served) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        transport = cast("asyncio.Transport", writer.transport)
        transport.pause_reading()
        writer.write(asked)
        await until(lambda: len(served.streams._tasks) == 1)
        for number in range(40):  # 20 MB: more than systems keep in both sockets
            served.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}"}, "data": {"a": "x" * 500_000}})
            await asyncio.sleep(0)
        await until(lambda: not served.streams._tasks)
        transport.resume_reading()
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 20):
                asked = piece
        assert not asked.endswith(b"0\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("parser", [parsed, parsed_slowly], ids=["httptools", "h11"])
async def test_an_answer_that_is_never_read_is_not_kept_for_ever(
    served: Any, parser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "Http", parser.Http)
    monkeypatch.setattr(patience, "UNREAD_SECONDS", 0.1)
    for number in range(40):
        served.api.create(CONFIG_MAP, {"metadata": {"name": f"c{number}"}, "data": {"a": "x" * 500_000}})
    listeners = Listeners(https=None)
    port = listeners.open().http
    await listeners.start(served.app)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    cast("asyncio.Transport", writer.transport).pause_reading()
    writer.write(WATCH.replace(b"?watch=true", b""))
    connections = listeners._servers[0].server_state.connections
    await until(lambda: len(connections) == 1)
    await until(lambda: not connections)
    writer.close()
    await listeners.stop(served.streams.close)


async def test_a_watch_of_one_object_reads_that_one_alone(served: Any, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "ab", "b"):
        served.api.create(CONFIG_MAP, {"metadata": {"name": name}})
    monkeypatch.setattr(served.api.core.store, "list", None)
    watch = call("/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Da")
    everywhere = call("/api/v1/configmaps?watch=true&fieldSelector=metadata.name%3Da,metadata.namespace%3Ddefault")
    for each in (watch, everywhere):
        assert await each.head() == 200
        type_, obj = await each.event()
        assert (type_, obj["metadata"]["name"]) == ("ADDED", "a")
    served.api.patch(CONFIG_MAP, "ab", "default", {"data": {"a": "b"}})
    served.api.delete(CONFIG_MAP, "a", "default")
    for each in (watch, everywhere):
        type_, obj = await each.event()
        assert (type_, obj["metadata"]["name"]) == ("DELETED", "a")
