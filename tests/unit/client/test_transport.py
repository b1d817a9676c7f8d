"""What the transport of the HTTP client makes of the answers of servers, good and bad, and when it uses a connection again."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from kedge.client import transport
from kedge.client.transport import KeptConnections

_TIMES = {"connect": 5.0, "read": 5.0, "write": 5.0}
_ZIPPED = gzip.compress(b"zipped")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Server:
    """Answers each request with the next of its answers; ``None`` closes the connection in place of an answer."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
                self.requests.append(head + await reader.readexactly(int(length[0].partition(b":")[2]) if length else 0))
                answer = self._answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if b"close" in answer or b"HTTP" not in answer:
                    break
            else:
                await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _reached(*answers: bytes | None, read: float = 5.0) -> AsyncGenerator[tuple[httpx.AsyncClient, _Server]]:
    server = _Server(*answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        client = httpx.AsyncClient(transport=KeptConnections(address, None), base_url=address, timeout=read)
        async with client:
            yield client, server
        for writer in server.writers:
            writer.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (_OK, "ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n", "ok!"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", "a"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall that comes", "all that comes"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _OK, "ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, "x" * 200_000),
    ],
    ids=["length", "chunks", "trailers", "no content", "until the end", "early hints", "large"],
)
async def test_an_answer_is_read_whole_however_it_is_framed(answer: bytes, body: str) -> None:
    async with _reached(answer) as (client, _):
        assert (await client.get("/")).text == body


async def test_requests_follow_each_other_over_one_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with _reached(_OK, chunked, _OK) as (client, server):
        answers = [(await client.post("/a%20b?x=%2F", content=b"body" * 50_000)).text for _ in range(3)]
    assert answers == ["ok", "ok", "ok"]
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /a%20b?x=%2F HTTP/1.1\r\n")
    assert all(request.endswith(b"\r\n\r\n" + b"body" * 50_000) for request in server.requests)


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    async with _reached(_OK + b"", _OK) as (client, server):
        await client.get("/")
        server.writers[0].close()
        await asyncio.sleep(0.05)
        assert (await client.post("/")).text == "ok"
    assert server.connections == 2


async def test_a_connection_that_nobody_used_for_a_while_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _reached(_OK, _OK) as (client, server):
        await client.get("/")
        monkeypatch.setattr(transport, "KEPT_SECONDS", -1.0)
        assert (await client.get("/")).text == "ok"
    assert server.connections == 2


async def test_a_stream_that_is_left_closes_its_connection() -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    async with _reached(endless, _OK) as (client, server):
        async with client.stream("GET", "/") as response:
            async for piece in response.aiter_bytes():
                assert piece == b"ok"
                break
        assert (await client.get("/")).text == "ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 abc\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\ncut", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ncut", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\ncut", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", httpx.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\n", httpx.ReadTimeout),
    ],
    ids=["no answer", "no HTTP", "no status", "no header", "cut", "cut in a chunk", "a size below 0", "silent", "half a head"],
)
async def test_a_bad_answer_is_an_error_of_httpx(answer: bytes | None, error: type[Exception]) -> None:
    async with _reached(answer, read=0.3) as (client, _):
        with pytest.raises(error):
            await client.get("/")


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    async with httpx.AsyncClient(transport=KeptConnections("http://127.0.0.1:1", None)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def test_no_more_requests_than_have_turns_wait_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST", 2)
    async with _reached(*[_OK] * 10) as (client, server):
        answers = await asyncio.gather(*(client.get("/") for _ in range(10)))
    assert [answer.text for answer in answers] == ["ok"] * 10
    assert server.connections <= 2


@asynccontextmanager
async def _asked(*answers: bytes | None) -> AsyncGenerator[tuple[KeptConnections, _Server]]:
    server = _Server(*answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        connections = KeptConnections(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/below/", None)
        yield connections, server
        await connections.aclose()
        for writer in server.writers:
            writer.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (_OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", b"ok!"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall that comes", b"all that comes"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(_ZIPPED), _ZIPPED), b"zipped"),
    ],
    ids=["length", "chunks", "until the end", "compressed"],
)
async def test_an_answer_that_is_asked_for_is_given_whole(answer: bytes, body: bytes) -> None:
    async with _asked(answer) as (connections, server):
        found = await connections.ask("GET", "/pods/a b", {"labelSelector": "a in (b,c)"}, {"X": "y"}, None, timeouts=_TIMES)
    assert (found.status, found.body) == (200, body)
    assert server.requests[0].startswith(b"GET /below/pods/a%20b?labelSelector=a%20in%20%28b%2Cc%29 HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_what_is_asked_uses_one_connection_and_sends_its_body() -> None:
    async with _asked(*[_OK] * 3) as (connections, server):
        for _ in range(3):
            await connections.ask("POST", "/", None, {}, b"{}", timeouts=_TIMES)
    assert server.connections == 1
    assert all(request.endswith(b"Content-Length: 2\r\n\r\n{}") for request in server.requests)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\ncut", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", httpx.ReadTimeout),
    ],
    ids=["no answer", "cut", "not compressed", "silent"],
)
async def test_what_is_asked_of_a_bad_server_is_an_error_of_httpx(answer: bytes | None, error: type[Exception]) -> None:
    async with _asked(answer or None) as (connections, _):
        with pytest.raises(error):
            await connections.ask("GET", "/", None, {}, None, timeouts={**_TIMES, "read": 0.3})
        assert not connections.kept


async def test_no_header_of_ours_can_begin_another_request() -> None:
    async with _asked(_OK, _OK) as (connections, server):
        await connections.ask("GET", "/a\r\nX: y\r\n\r\nGET /b", {"q": "\r\n"}, {}, None, timeouts=_TIMES)
        with pytest.raises(ValueError, match="header"):
            await connections.ask("GET", "/", None, {"X": "y\r\nZ: z"}, None, timeouts=_TIMES)
    assert [request.split(b"\r\n")[0] for request in server.requests] == [
        b"GET /below/a%0D%0AX:%20y%0D%0A%0D%0AGET%20/b?q=%0D%0A HTTP/1.1"
    ]
