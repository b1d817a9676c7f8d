"""Serves one application on two loopback ports: HTTPS for Kubernetes clients, HTTP for people and REST clients.

A third, HTTPS, may listen at an address of the machine, for others that join: it asks who connects for a certificate.

A hub of a cluster has no Kubernetes API of its own, so it listens with HTTP alone: on loopback beside a relay, or as its Pod.

`Listeners.open` binds, so that ports are known before the application is built; `Listeners.start` serves; `Listeners.stop` ends
both, after the given callbacks have ended watches and other answers without an end. Uvicorn's own tick, signal handlers, logs of
requests and date header are off: an idle host does nothing at all.
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from kedge.errors import KedgeError
from kedge.server.upgrades import Upgrade

try:
    from kedge.server.parsed import Http
except ImportError:  # the extra ``cluster`` is not installed (decision 0028); this parser has a bound of its own
    from kedge.server.parsed_slowly import Http

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
_OUTSIDE_PORT = 6443
_OUTSIDE = "https for other machines"
_READ_BYTES = 32 << 10
"""What is read of a connection over TLS at once. It is set aside for each as long as it is open, and asyncio's own is eight times
as much: half a gigabyte for 2,000 watches."""
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


def outside_of(text: str) -> tuple[str, int]:
    """Read where other machines find this one: ``ADDRESS`` or ``ADDRESS:PORT``.

    Args:
        text: As it was given; the port is 6443 where there is none.

    Raises:
        KedgeError: It is no address of a machine.

    Examples:
        >>> outside_of("192.168.1.20")
        ('192.168.1.20', 6443)
    """
    host, _, port = text.partition(":")
    try:
        address, number = ipaddress.IPv4Address(host), int(port or _OUTSIDE_PORT)
    except ValueError as error:
        raise KedgeError(f"--listen {text}: must be an IPv4 address, or one with a port, such as 192.168.1.20:6443.") from error
    if address.is_unspecified or not 0 <= number < 1 << 16:
        raise KedgeError(
            f"--listen {text}: name the address by which other machines reach this one, such as 192.168.1.20: its certificate "
            "says so too."
        )
    return str(address), number


class Outside(NamedTuple):
    """What is served to other machines.

    Attributes:
        app: The application.
        authority: PEM of who has signed the certificates of those that may come with one.
    """

    app: "ASGIApp"
    authority: Path


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
        outside: Address and port of the listener for other machines; ``None`` for no such one.
        grace: Seconds that `stop` waits for answers under way.
    """

    def __init__(
        self,
        http: int = 0,
        https: int | None = 0,
        *,
        address: str = LOOPBACK,
        outside: tuple[str, int] | None = None,
        grace: float = 5.0,
    ) -> None:
        self._wanted = [(http, "http", address)] if https is None else [(http, "http", address), (https, "https", address)]
        self._wanted += [(outside[1], _OUTSIDE, outside[0])] if outside else []
        self._grace = grace
        self._sockets: list[socket.socket] = []
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ports(self) -> Ports:
        """The ports, once they are bound; 0 where there is none."""
        bound = [each.getsockname()[1] for each in self._sockets]
        return Ports(bound[0], bound[1] if len(bound) > 1 else 0)

    @property
    def outside(self) -> str:
        """The address for other machines; empty where there is none."""
        scheme, address = self._wanted[-1][1:]
        return f"https://{address}:{self._sockets[-1].getsockname()[1]}" if scheme == _OUTSIDE else ""

    def open(self) -> Ports:
        """Bind both ports.

        Raises:
            KedgeError: A port is in use or not allowed; names it and says what to do.
        """
        try:
            for port, scheme, address in self._wanted:
                bound = _bind(port, scheme, address) if port else _bind_free(scheme, address)
                self._sockets.append(bound)
        except BaseException:
            self.close()
            raise
        return self.ports

    async def start(
        self, app: "ASGIApp", certificate: Path | None = None, key: Path | None = None, outside: Outside | None = None
    ) -> None:
        """Begin to serve; returns when both listeners accept connections.

        Args:
            app: The application for all.
            certificate: PEM, for HTTPS.
            key: PEM, its private key.
            outside: What is served to other machines.
        """
        SSLProtocol.max_size = _READ_BYTES
        for sock, (_, scheme, _) in zip(self._sockets, self._wanted, strict=True):
            tls, apart = scheme != "http", outside if scheme == _OUTSIDE else None
            config = uvicorn.Config(
                app if apart is None else apart.app,
                http=Http,
                ws=Upgrade,
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
                ssl_ca_certs=None if apart is None else str(apart.authority),
                ssl_cert_reqs=ssl.CERT_NONE if apart is None else ssl.CERT_OPTIONAL,
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
    # The protocol is named for asyncio: on connections of any other it leaves Nagle's algorithm on, and the second part of each
    # answer then waits for the client's delayed acknowledgement of the first, which is 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            options = "kedge up --http-port, --https-port, --listen ADDRESS:PORT, kedge open --port; 0: any"
            why = f"is in use by another process. Stop it, or choose another port ({options})"
        elif error.errno == errno.EACCES:
            why = "is reserved for root. Choose one above 1023, or 0 for a free one"
        else:
            why = f"cannot be opened: {error.strerror}. Choose another port, or 0 for a free one"
        raise KedgeError(f"port {port} ({scheme}) on {address}: {why}.") from error
    return sock
