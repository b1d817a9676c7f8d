"""A registry of images on this machine that wants a login: what clients of the distribution protocol ask for when they pull."""

import base64
import contextlib
import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOGIN = ("puller", "a secret word")


@contextlib.contextmanager
def registry(layout: Path) -> Generator[str]:
    """Serve the first image of an OCI layout under every name; says where, as ``host:port``.

    Args:
        layout: The folder.
    """
    wanted = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                self._answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
                return
            self._answer(*_found(layout, self.path))

        def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.send_header("Content-Type", kind)
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _found(layout: Path, path: str) -> tuple[int, bytes, str]:
    """What a path of the protocol means: status, body and its type."""
    if path == "/v2/":
        return 200, b"{}", "application/json"
    first = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest = "/manifests/" in path
    digest = first["digest"] if manifest else path.rpartition("/")[2]
    file = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    if not file.is_file():
        return 404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}', "application/json"
    return 200, file.read_bytes(), first["mediaType"] if manifest else "application/octet-stream"
