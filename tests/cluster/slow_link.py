"""A way to a server that can be held up: bytes go through, but for those of uploads while it is told to hold them."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

PIECE = 1 << 16


class SlowLink:
    """Listens on an address of this machine and passes everything on.

    Args:
        address: Where to listen.
        server: Host and port of the server.

    Attributes:
        port: Where it listens.
        held: Set when an upload waits.
    """

    def __init__(self, address: str, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self.held = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._ends = set[socket.socket]()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in list(self._ends):
            _end(end)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def hold(self) -> None:
        """Let uploads wait."""
        self._open.clear()

    def release(self) -> None:
        """Let them go on."""
        self._open.set()

    def cut(self) -> None:
        """Cut all connections that there are."""
        for end in list(self._ends):
            _end(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._carry, args=(client,)))
            self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            ends = {client, server}
            self._ends |= ends
            back = threading.Thread(target=self._pass, args=(server, client))
            back.start()
            self._pass(client, server)
            back.join()
            self._ends -= ends

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if piece.startswith(b"PUT ") and not self._open.is_set():
                    self.held.set()
                    self._open.wait()
                target.sendall(piece)
        _end(target)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
