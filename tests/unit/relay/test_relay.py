"""A relay's process, the hub's end of its tunnel, and requests as Pods send them; all on loopback."""

import asyncio
import contextlib
import functools
import http.client
import io
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from kedge import errors
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.client.tunnel import Answer, Handler, Headers, Tunnel, Way
from kedge.kube.clock import SystemClock, SystemIds
from kedge.relay import bundle, desk, frames

SECRET = "only-for-the-hub"
PODS = ThreadPoolExecutor(64)  # more than asyncio's own: some of them wait
STAGING = "/apis/kedge.dev/v1/staging/"


@dataclass
class RunningRelay:
    process: "subprocess.Popen[bytes]"
    pods: int
    tunnel: int

    @contextlib.asynccontextmanager
    async def served(self, handler: Handler, *, secret: str = SECRET) -> AsyncGenerator["asyncio.Task[None]"]:
        """Answer what comes through it, as through the API server's proxy, but without one."""
        async with HttpClient(Access(f"http://127.0.0.1:{self.tunnel}")) as client:
            tunnel = Tunnel(client, Way("", secret, SystemIds().uid()), handler, SystemClock(), nothing_to_mend)
            await tunnel.greet()
            serving = asyncio.create_task(tunnel.run())
            try:
                yield serving
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    def ask(
        self, call: str = "begin", body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, bytes, dict[str, str]]:
        """What a Pod gets for a call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.pods, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, call if call.startswith("/") else STAGING + call, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), dict(response.getheaders())

    async def asks(self, *arguments: object, **options: object) -> tuple[int, bytes, dict[str, str]]:
        call = functools.partial(self.ask, *arguments, **options)  # pyright: ignore[reportArgumentType]  # passed on
        return await asyncio.get_running_loop().run_in_executor(PODS, call)

    def raw(self, text: bytes, *, tunnel: bool = False) -> bytes:
        """What is answered to bytes that a client library would not send."""
        with socket.create_connection(("127.0.0.1", self.tunnel if tunnel else self.pods), timeout=60) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.closing(connection.makefile("rb")) as file:
                return file.read()


def peak_of(pid: int) -> int:
    """The most memory that a process has had, in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "VmHWM" in line)


def interpreter(minor: int) -> str | None:
    places = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
    python = str(places[-1]) if places else shutil.which(f"python3.{minor}")
    if python and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
        return None  # a shim without the version behind it
    return python


async def nothing_to_mend() -> None:
    pass


async def echo(method: str, path: str, headers: Headers, body: bytes) -> Answer:
    return Answer(200, [("Content-Type", "text/plain")], f"{method} {path} ".encode() + body)


@contextlib.contextmanager
def running(folder: Path, *, python: str = sys.executable, ports: tuple[int, int] = (0, 0)) -> Generator[RunningRelay]:
    (folder / "relay.pyz").write_bytes(bundle.build())
    (folder / "secret").write_text(SECRET + "\n")
    command = [python, "-I", "-B", "relay.pyz", "--address=127.0.0.1", "--secret=secret"]
    command += [f"--pods={ports[0]}", f"--tunnel={ports[1]}"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        words = [int(word) for word in line.decode().replace(",", " ").split() if word.isdigit()]
        try:
            assert b"listens" in line, line
            yield RunningRelay(process, words[0], words[1])
        finally:
            process.terminate()
            (folder / "relay.log").write_bytes(line + process.stderr.read())
            assert process.wait(60) == 0


@pytest.fixture
def relay(tmp_path: Path) -> Generator[RunningRelay]:
    with running(tmp_path) as found:
        yield found
    log = (tmp_path / "relay.log").read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log


async def test_a_call_of_a_pod_is_answered_by_the_hub(relay: RunningRelay) -> None:
    async with relay.served(echo):
        status, body, headers = await relay.asks("commit", b"outputs")
    assert (status, body, headers["Content-Type"]) == (200, f"POST {STAGING}commit outputs".encode(), "text/plain")


async def test_the_pods_token_is_passed_on_and_what_somebody_might_believe_is_not(relay: RunningRelay) -> None:
    async def told(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        return Answer(
            200, (), repr(sorted(name.lower() for name, _ in headers)).encode() + dict(headers)["Authorization"].encode()
        )

    sent = {"Authorization": "Bearer pod", "kubeflow-userid": "root", "X-Forwarded-For": "1.2.3.4", "Connection": "close, X"}
    async with relay.served(told):
        _, body, _ = await relay.asks("begin", b"{}", sent)
    assert body == b"['authorization']Bearer pod"


async def test_the_hubs_refusals_and_pauses_reach_the_pod(relay: RunningRelay) -> None:
    async def refuse(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        return Answer(429, [("Retry-After", "7"), ("Connection", "upgrade")], b"later")

    async with relay.served(refuse):
        status, body, headers = await relay.asks()
    assert (status, body, headers["Retry-After"], headers["Connection"]) == (429, b"later", "7", "close")


async def test_without_a_hub_a_pod_is_told_to_try_again(relay: RunningRelay) -> None:
    status, body, headers = await relay.asks()
    assert (status, headers["Retry-After"]) == (503, "2")
    assert b"no hub is connected" in body


async def test_a_call_that_takes_long_holds_up_no_other(relay: RunningRelay) -> None:
    release = asyncio.Event()

    async def slow(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        if body == b"slow":
            await release.wait()
        return Answer(200, (), body)

    async with relay.served(slow):
        waiting = [asyncio.create_task(relay.asks("commit", b"slow")) for _ in range(12)]
        others = await asyncio.gather(*(relay.asks("commit", b"%d" % number) for number in range(40)))
        assert [body for _, body, _ in others] == [b"%d" % number for number in range(40)]
        assert not any(task.done() for task in waiting)
        release.set()
        assert [(await task)[1] for task in waiting] == [b"slow"] * 12


async def test_large_bodies_pass_both_ways_and_do_not_stay_in_the_relay(relay: RunningRelay) -> None:
    large = bytes(range(256)) * (64 << 12)

    async def back(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        return Answer(200, (), body)

    async with relay.served(back):
        answers = await asyncio.gather(*(relay.asks("commit", large) for _ in range(2)), relay.asks("commit", b"small"))
    assert [body == sent for (_, body, _), sent in zip(answers, (large, large, b"small"), strict=True)] == [True] * 3
    if sys.platform == "linux":
        assert peak_of(relay.process.pid) < 64 << 10


async def test_what_a_hub_had_taken_is_answered_by_the_one_that_is_started_after_it(relay: RunningRelay) -> None:
    arrived = asyncio.Event()

    async def never(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        arrived.set()
        return await asyncio.get_running_loop().create_future()

    async with relay.served(never):
        asked = asyncio.create_task(relay.asks("commit", b"once"))
        await arrived.wait()
    async with relay.served(echo):
        assert (await asked)[1].endswith(b"commit once")


async def test_a_hub_whose_relay_another_one_takes_over_says_so(relay: RunningRelay) -> None:
    async with relay.served(echo) as first, relay.served(echo):
        with pytest.raises(errors.StateError, match="Another hub has taken over this hub's relay"):
            await first


async def test_the_tunnel_goes_on_when_the_relay_is_started_anew(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        async with first.served(echo):
            assert (await first.asks())[0] == 200
            first.process.terminate()
            first.process.wait(60)
            with running(tmp_path, ports=(first.pods, first.tunnel)) as second:
                statuses = {503}
                while 503 in statuses:  # until the hub has come back
                    statuses = {(await second.asks())[0]}
                assert statuses == {200}


async def test_a_relay_that_ends_lets_pods_try_again(relay: RunningRelay) -> None:
    arrived = asyncio.Event()

    async def never(method: str, path: str, headers: Headers, body: bytes) -> Answer:
        arrived.set()
        return await asyncio.get_running_loop().create_future()

    async with relay.served(never):
        asked = asyncio.create_task(relay.asks())
        await arrived.wait()
        relay.process.terminate()
        status, _, headers = await asked
        await asyncio.to_thread(relay.process.wait, 60)
    assert (status, headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/apis/v2beta1/runs", 404),
        ("/apis/kedge.dev/v1/staging/", 404),
        ("/apis/kedge.dev/v1/staging/../../../v2beta1/runs", 404),
        ("/apis/kedge.dev/v1/staging/%2e%2e/runs", 404),
        ("/apis/kedge.dev/v1/staging/begin?x=1", 404),
        ("/v1/next", 404),
        ("http://elsewhere/apis/kedge.dev/v1/staging/begin", 404),
    ],
)
async def test_nothing_but_staging_is_passed_on(relay: RunningRelay, path: str, status: int) -> None:
    async with relay.served(echo):
        answer = await asyncio.to_thread(relay.raw, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nX: " + b"x" * (33 << 10) + b"\r\n\r\n", 431),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\nX: " + b"x" * (1 << 20), 431),
        (b"POST /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"PUT /apis/kedge.dev/v1/staging/begin HTTP/1.1\r\n\r\n", 405),
        (b"GET /apis/kedge.dev/v1/stag", 400),
    ],
    ids=[
        "no request",
        "chunked",
        "two lengths",
        "negative",
        "too large",
        "long head",
        "endless head",
        "folded",
        "PUT",
        "cut off",
    ],
)
async def test_what_is_no_request_of_staging_is_refused(relay: RunningRelay, head: bytes, status: int) -> None:
    async with relay.served(echo):
        answer = await asyncio.to_thread(relay.raw, head)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x"])
async def test_the_tunnel_opens_to_nobody_without_the_secret(relay: RunningRelay, secret: str) -> None:
    for call in ("POST /v1/hello", "POST /v1/next", "GET /v1/body/1", "POST /v1/answers"):
        head = f"{call} HTTP/1.1\r\n{frames.SECRET_HEADER}: {secret}\r\n{frames.SESSION_HEADER}: x\r\nContent-Length: 0\r\n\r\n"
        answer = await asyncio.to_thread(relay.raw, head.encode(), tunnel=True)
        assert answer.startswith(b"HTTP/1.1 403 "), call


async def test_the_relay_writes_down_no_secret(tmp_path: Path) -> None:
    with running(tmp_path) as relay:
        async with relay.served(echo):
            await relay.asks("begin", b"{}", {"Authorization": "Bearer of-a-pod"})
    log = (tmp_path / "relay.log").read_text()
    assert "a hub is connected" in log
    assert SECRET not in log
    assert "of-a-pod" not in log


async def test_what_a_lost_poll_took_is_given_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "TAKEN_SECONDS", 0.01)
    found = desk.Desk()
    found.greet("hub")
    pod, other = socket.socketpair()
    ends = await asyncio.open_connection(sock=pod)
    request = desk.Request(1, {}, 0, body=b"", ends=ends)
    asking = asyncio.create_task(found.ask(request))
    assert await found.take("hub", 60.0) == [request]
    assert await found.take("hub", 60.0) == [request]
    found.acknowledge([1])
    assert request.state == "known"
    request.done.set_result(None)
    await asking
    ends[1].close()
    await ends[1].wait_closed()
    other.close()


@pytest.mark.parametrize("minor", [8, 9, 10, 12, 13, 14])
async def test_the_relay_runs_under_python_3(tmp_path: Path, minor: int) -> None:
    if (python := interpreter(minor)) is None:
        pytest.skip(f"Python 3.{minor} is not on this machine")
    with running(tmp_path, python=python) as relay:
        async with relay.served(echo):
            answers = await asyncio.gather(*(relay.asks("commit", b"x" * size) for size in (1, 1 << 20)))
            assert [status for status, _, _ in answers] == [200, 200]
        assert (await relay.asks("commit", b"", method="PUT"))[0] == 405


def test_the_same_files_make_the_same_program_and_nothing_of_the_hub_is_in_it() -> None:
    first = bundle.build()
    bundle.build.cache_clear()
    assert bundle.build() == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert "kedge/relay/server.py" in names
    assert not [name for name in names if not name.startswith(("kedge/relay/", "kedge/__init__.py", "__main__.py"))]
    assert len(first) < 40_000
