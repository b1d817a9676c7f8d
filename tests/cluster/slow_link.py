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
    """

    def __init__(self, address: str, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self.held = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.set()
        self._listener.close()

    def hold(self) -> None:
        """Let uploads wait; `held` is set when one does."""
        self._open.clear()

    def release(self) -> None:
        """Let them go on."""
        self._open.set()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if piece.startswith(b"PUT ") and not self._open.is_set():
                    self.held.set()
                    self._open.wait()
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
