"""A proxy of companies' networks: it takes ``CONNECT`` and passes bytes on, as ``proxy-url`` of a kubeconfig wants it."""

import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, create_connection, socket

_PIECE = 1 << 16


class Proxy(socketserver.ThreadingTCPServer):
    """Listens on a port of this machine.

    Attributes:
        asked: The places that it was asked to connect to.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        """Its own."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        method, place, _ = self.rfile.readline().decode("ascii").split()
        while self.rfile.readline().strip():
            pass  # headers
        if method != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 CONNECT alone\r\n\r\n")
            return
        self.server.asked.append(place)
        host, _, port = place.rpartition(":")
        with create_connection((host, int(port))) as far:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=_pass_on, args=(far, self.connection), daemon=True).start()
            _pass_on(self.connection, far)


def _pass_on(source: socket, target: socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(SHUT_RDWR)


@contextmanager
def connect_proxy() -> Generator[Proxy]:
    """One that runs."""
    with Proxy() as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(60)
