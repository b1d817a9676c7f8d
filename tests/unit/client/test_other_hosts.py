"""A client of one version before a host of another."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kedge.errors import UnsupportedError
from kedge.pipelines.client import Client


class _Older(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the library's name
        body = b'{"tasks": [{"task_id": "t", "inputs": {"parameters": {"x": 1}}}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing is printed."""


@pytest.fixture
def older() -> Iterator[str]:
    """The address of a host whose tasks have the shape of an earlier version."""
    with HTTPServer(("127.0.0.1", 0), _Older) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_tasks_of_another_shape_are_said_to_come_from_other_code(older: str) -> None:
    with Client(older) as client, pytest.raises(UnsupportedError, match=r"it runs other code\. Start it anew with this one"):
        client.tasks("r")
