"""A webhook as people run them: an HTTPS server with a certificate of its own authority, which answers as a test says."""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import Authority

Obj = dict[str, Any]
Handler = Callable[[Obj], Any]


def allowed(**more: Any) -> Handler:
    """Lets everything pass, with more fields in the answer."""
    return lambda _request: {"allowed": True, **more}


def denied(status: Obj | None = None) -> Handler:
    """Refuses everything."""
    return lambda _request: {"allowed": False, **({"status": status} if status is not None else {})}


def patched(*operations: Obj) -> Handler:
    """Changes everything by a JSON patch."""
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return allowed(patch=text, patchType="JSONPatch")


class Webhooks:
    """The server, once it runs.

    Attributes:
        bundle: The certificate of its authority, for ``caBundle``.
        address: Where it listens.
        asked: By path, the requests that came.
    """

    def __init__(self, address: str, bundle: str) -> None:
        self.address, self.bundle = address, bundle
        self.handlers: dict[str, Handler] = {}
        self.asked: dict[str, list[Obj]] = {}
        self.ended = threading.Event()

    def at(self, path: str, handler: Handler) -> Obj:
        """Answer at a path from now on; returns the ``clientConfig`` that leads there."""
        self.handlers[path], self.asked[path] = handler, []
        return {"url": f"https://{self.address}{path}", "caBundle": self.bundle}

    def take(self, path: str) -> list[Obj]:
        """The requests that came to a path since this was asked last."""
        found, self.asked[path] = self.asked[path], []
        return found


@contextmanager
def running(folder: Path, host: str = "127.0.0.1", name: str = "") -> Generator[Webhooks]:
    """A server until the block is left.

    Args:
        folder: For its certificate.
        host: The address it listens at.
        name: Whom the certificate is for; by default the address.
    """
    authority = Authority.new()
    issued = authority.server(name or host)
    pair = folder / "webhook.pem"
    pair.touch(mode=0o600)
    pair.write_text(issued.certificate + issued.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair)

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["content-length"])))
            path = self.path.partition("?")[0]
            hooks.asked[path].append({**review["request"], "query": self.path.partition("?")[2]})
            found = hooks.handlers[path](review["request"])
            if isinstance(found, tuple):
                code, body = found
            else:
                response = {"uid": review["request"]["uid"], **found}
                code, body = 200, {**{key: review[key] for key in ("apiVersion", "kind")}, "response": response}
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its own name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # who does not trust it goes away in the middle

    with Server((host, 0), Answers) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        hooks = Webhooks(f"{host}:{server.server_port}", base64.b64encode(authority.certificate.encode()).decode())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hooks
        finally:
            hooks.ended.set()
            server.shutdown()
            thread.join()
