"""Serves one application on two loopback ports: HTTPS for Kubernetes clients, HTTP for people and REST clients.

A hub of a cluster has no Kubernetes API of its own, so it listens with HTTP alone: on loopback beside a relay, or as its Pod.

`Listeners.open` binds, so that ports are known before the application is built; `Listeners.start` serves; `Listeners.stop` ends
both, after the given callbacks have ended watches and other answers without an end. Uvicorn's own tick, signal handlers, logs of
requests and date header are off: an idle host does nothing at all.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from kedge.errors import KedgeError

try:
    from kedge.server.parsed import Http
except ImportError:  # the extra ``cluster`` is not installed (decision 0028); this parser has a bound of its own
    Http = "h11"

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
_KEEP_ALIVE_SECONDS = 75
_GOODBYE_SECONDS = 0.3
_POLL_SECONDS = 0.02
# Where a free port is looked for: below those from which systems give connections that go out, one of which might hold the port
# when the host comes back to it, and beside those of services and of Kubernetes' nodes.
_KEPT = range(20_000, 30_000)
_TRIES = 50


class Ports(NamedTuple):
    """Where the listeners are bound."""

    http: int
    https: int


class _Server(uvicorn.Server):
    """A uvicorn server that sleeps until it is told to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopping.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Listeners:
    """The two listeners of a host.

    Args:
        http: Port for HTTP; 0 takes a free one.
        https: Port for HTTPS; 0 takes a free one; ``None`` for HTTP alone.
        address: Where to listen.
        grace: Seconds that `stop` waits for answers under way.
    """

    def __init__(self, http: int = 0, https: int | None = 0, *, address: str = LOOPBACK, grace: float = 5.0) -> None:
        self._wanted = [(http, "http")] if https is None else [(http, "http"), (https, "https")]
        self._address = address
        self._grace = grace
        self._sockets: list[socket.socket] = []
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ports(self) -> Ports:
        """The ports, once they are bound; 0 where there is none."""
        bound = [each.getsockname()[1] for each in self._sockets]
        return Ports(bound[0], bound[1] if len(bound) > 1 else 0)

    def open(self) -> Ports:
        """Bind both ports.

        Raises:
            KedgeError: A port is in use or not allowed; names it and says what to do.
        """
        try:
            for port, scheme in self._wanted:
                bound = _bind(port, scheme, self._address) if port else _bind_free(scheme, self._address)
                self._sockets.append(bound)
        except BaseException:
            self.close()
            raise
        return self.ports

    async def start(self, app: "ASGIApp", certificate: Path | None = None, key: Path | None = None) -> None:
        """Begin to serve; returns when both listeners accept connections.

        Args:
            app: The application for all.
            certificate: PEM, for HTTPS.
            key: PEM, its private key.
        """
        for sock, (_, scheme) in zip(self._sockets, self._wanted, strict=True):
            tls = scheme == "https"
            config = uvicorn.Config(
                app,
                http=Http,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(self._grace)),
                ssl_certfile=certificate if tls else None,
                ssl_keyfile=key if tls else None,
            )
            server = _Server(config)
            self._servers.append(server)
            self._tasks.append(asyncio.create_task(server.serve(sockets=[sock]), name=scheme))
        while not all(server.started for server in self._servers):
            if failed := next((task for task in self._tasks if task.done()), None):
                failed.result()
                raise KedgeError(f"the {failed.get_name()} listener ended while it was starting; the log has the reason.")
            await asyncio.sleep(0.001)

    async def stop(self, *ending: Callable[[], None]) -> None:
        """Accept no more, end what is under way, and return when both listeners are closed.

        Args:
            ending: Called first, to end watches and other answers that would go on for ever.
        """
        for call in ending:
            call()
        for server in self._servers:
            server.stop()
        while any(server.server_state.tasks for server in self._servers):
            if all(task.done() for task in self._tasks):
                break
            await asyncio.sleep(_POLL_SECONDS)
        # All answers are given. What is left waits for a client to say goodbye, which over TLS may take half a minute.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.gather(*self._tasks)), _GOODBYE_SECONDS)
        for server in self._servers:
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()
        await asyncio.gather(*self._tasks)
        self.close()

    def close(self) -> None:
        """Release the ports; for a start that failed half-way."""
        for sock in self._sockets:
            sock.close()
        self._sockets = []


def _bind_free(scheme: str, address: str) -> socket.socket:
    """Bind a port that nobody has now, nor is likely to have when the host starts again."""
    with _bind(0, scheme, address) as any_port:
        first = any_port.getsockname()[1]  # the system's choice differs from time to time
    for number in range(_TRIES):
        with contextlib.suppress(KedgeError):
            return _bind(_KEPT[(first + number) % len(_KEPT)], scheme, address)
    return _bind(0, scheme, address)


def _bind(port: int, scheme: str, address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            options = "kedge up --http-port, --https-port, kedge open --port; 0: any"
            why = f"is in use by another process. Stop it, or choose another port ({options})"
        elif error.errno == errno.EACCES:
            why = "is reserved for root. Choose one above 1023, or 0 for a free one"
        else:
            why = f"cannot be opened: {error.strerror}. Choose another port, or 0 for a free one"
        raise KedgeError(f"port {port} ({scheme}) on {address}: {why}.") from error
    return sock
