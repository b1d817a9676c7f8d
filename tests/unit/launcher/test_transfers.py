"""A large file goes in several parts at once, each tried again by itself; the server here is hub and store in one."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kedge.launcher import transfers

PART = 16 << 20
SIZE = 5 * PART + 7
CONTENT = bytes(SIZE - 3) + b"end"


class Store(ThreadingHTTPServer):
    """Answers none of the first four requests for parts before all of them have come; fails the first try of one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.together = threading.Barrier(4, timeout=60)
        self.first = Counter[str]()
        self.parts: dict[int, bytes] = {}
        self.etags: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    @property
    def store(self) -> Store:
        assert isinstance(self.server, Store)
        return self.server

    def do_POST(self) -> None:  # its name there
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/complete"):
            self.store.etags = said["etags"]
            self.answer(200, b"{}")
            return
        urls = [f"{self.store.url}/part/{number}" for number in range(-(-SIZE // PART))]
        self.answer(200, json.dumps({"files": [{"upload": "u", "partSize": PART, "urls": urls}]}).encode())

    def do_PUT(self) -> None:
        number = int(self.path.rpartition("/")[2])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.wait() == 0:  # one of the four
            self.answer(503, b"")
            return
        self.store.parts[number] = body
        self.answer(200, b"", {"ETag": f'"{number}"'})

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self.answer(200, CONTENT, {"ETag": '"a"', "Accept-Ranges": "bytes"})
            return
        assert self.headers["If-Match"] == '"a"'
        start, end = map(int, asked.partition("=")[2].split("-"))
        piece = CONTENT[start : end + 1]
        if self.wait() == 0:
            self.answer(206, piece[:1000], length=len(piece))  # and the connection ends
            return
        self.answer(206, piece, {"ETag": '"a"'})

    def wait(self) -> int:
        with self.store.lock:
            self.store.first["came"] += 1
            mine = self.store.first["came"]
        return self.store.together.wait() if mine <= 4 else 4

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # it has read as much as it wants

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    (tmp_path / "token").write_text("a.b.c")
    with Store() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KEDGE_HUB", server.url)
        monkeypatch.setenv("KEDGE_TOKEN", str(tmp_path / "token"))
        yield server
        server.shutdown()


def test_parts_are_sent_four_at_once_and_the_one_that_fails_is_sent_again(store: Store, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(CONTENT)
    digest, size = transfers.upload(str(tmp_path / "big"), "s3://bucket/big", {}, "big")
    assert (digest, size) == ("sha256:" + hashlib.sha256(CONTENT).hexdigest(), SIZE)
    assert b"".join(store.parts[number] for number in sorted(store.parts)) == CONTENT
    assert store.etags == [f'"{number}"' for number in range(6)]


def test_a_slow_download_goes_on_in_four_ranges_and_what_was_cut_off_is_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "_FAST", 0.0)
    grant = {"uri": "s3://bucket/big", "url": f"{store.url}/big", "digest": "sha256:" + hashlib.sha256(CONTENT).hexdigest()}
    transfers.download(str(tmp_path / "got"), grant, "big")
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert store.first["came"] > 4
