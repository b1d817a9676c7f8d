"""A wire between a hub and its PostgreSQL server: it can be cut at any message, and be as long as one between two machines."""

import queue
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK = 1 << 16


@dataclass
class Wire:
    """Listens on a socket in a folder, and passes on what is said.

    Attributes:
        server: The socket of the server.
        folder: Where ours is, under the same name.
        cut_at: The message of the client, counted from 0 over all connections, at which both ends are closed, once.
        answered: Whether the server gets that message, and only its answer is lost.
        delay: Seconds that the way there and back takes.
        messages: How many messages the client has sent.
        cuts: How many were made.
    """

    server: Path
    folder: Path
    cut_at: int | None = None
    answered: bool = False
    delay: float = 0.0
    messages: int = 0
    cuts: int = 0
    _sockets: list[socket.socket] = field(default_factory=list[socket.socket])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def start(self) -> None:
        """Listen."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / self.server.name))
        listener.listen()
        self._sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Cut everything, and listen no more."""
        self._closed = True
        for each in self._sockets:
            _close(each)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(str(self.server))
                except OSError:
                    _close(client)
                    continue
                self._sockets += [client, server]
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        due: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        if self.delay:
            threading.Thread(target=_arrive, args=(due, server), daemon=True).start()
        with suppress(OSError):
            while said := client.recv(_CHUNK):
                with self._lock:
                    here, self.messages = self.messages == self.cut_at, self.messages + 1
                    self.cuts += here
                if here:
                    # Nothing comes back from here on. What the server does with it is seen by whoever looks there.
                    _shut(client)
                    if self.answered:
                        server.sendall(said)
                    break
                if self.delay:  # as on a long wire, what is sent later does not wait for what was sent before to arrive
                    due.put((time.monotonic() + self.delay, said))
                else:
                    server.sendall(said)
        _close(client)
        if self.answered:
            _shut(server, socket.SHUT_WR)
        else:
            _close(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(_CHUNK):
                with suppress(OSError):
                    client.sendall(said)
        _close(client)
        _close(server)


def _arrive(due: "queue.SimpleQueue[tuple[float, bytes]]", server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            moment, said = due.get()
            time.sleep(max(0.0, moment - time.monotonic()))  # noqa: TID251  # the wire's length
            server.sendall(said)


def _shut(end: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with suppress(OSError):
        end.shutdown(how)


def _close(end: socket.socket) -> None:
    _shut(end)
    end.close()
