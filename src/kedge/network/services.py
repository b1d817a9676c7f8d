"""Services: a socket for each of their ports, and which endpoint the next connection goes to."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from kedge.network import relays
from kedge.network.records import HEADLESS

_AFFINITY_SECONDS = 10800
_LARGEST = 65535
_FORGOTTEN_AFTER = 60.0  # a UDP sender that was quiet for so long is a new one

MACHINE = "127.0.0.1"
"""Where ports of nodes are listened on: this machine's loopback."""
Place = tuple[str, int]
_Key = tuple[str, int, str]


@dataclass
class Backends:
    """Where the connections of one port of a Service go.

    Attributes:
        places: Addresses and ports of ready endpoints.
        sticky: Seconds for which a client stays with its endpoint; 0 when it need not.
    """

    places: list[Place]
    sticky: int = 0
    _turn: int = 0
    _chosen: dict[str, tuple[Place, float]] = field(default_factory=dict[str, tuple[Place, float]])

    def choose(self, client: str) -> Place:
        """The endpoint for a client's next connection: each in turn."""
        now = time.monotonic()
        if self.sticky and (known := self._chosen.get(client)) and known[0] in self.places and now - known[1] < self.sticky:
            chosen = known[0]
        else:
            self._turn += 1
            chosen = self.places[self._turn % len(self.places)]
        if self.sticky:
            self._chosen[client] = (chosen, now)
        return chosen


class Services:
    """All Services of the node.

    Args:
        listen: Makes a listening socket at an address and a port of the node's network, or of the machine's loopback.
        receive: The same for UDP.
        reach: Connects to an endpoint.
        send: A UDP socket connected to an endpoint.
    """

    def __init__(
        self,
        listen: Callable[[str, int], socket.socket],
        receive: Callable[[str, int], socket.socket],
        reach: Callable[[str, int], Awaitable[socket.socket]],
        send: Callable[[str, int], socket.socket],
    ) -> None:
        self._listen, self._receive, self._reach, self._send = listen, receive, reach, send
        self._kept: dict[_Key, tuple[Backends, relays.Relay | _Packets]] = {}

    def update(self, services: list[dict[str, Any]]) -> list[str]:
        """Have exactly these; returns what could not be had, in words.

        A port without a ready endpoint is not listened on: who connects to it is refused, as on a cluster.
        """
        wanted = {key: places for service in services for key, places in _ports(service)}
        faults: list[str] = []
        for key in self._kept.keys() - wanted.keys():
            self._kept.pop(key)[1].close()
        for key, (places, sticky) in wanted.items():
            if known := self._kept.get(key):
                known[0].places, known[0].sticky = places, sticky
                continue
            backends = Backends(places, sticky)
            try:
                self._kept[key] = (backends, self._open(key, backends))
            except OSError as error:
                faults.append(f"{key[0]}:{key[1]}/{key[2]}: {error.strerror or error}")
        return faults

    def _open(self, key: _Key, backends: Backends) -> "relays.Relay | _Packets":
        address, port, protocol = key
        if protocol == "UDP":
            return _Packets(self._receive(address, port), backends, self._send)

        async def reach(connection: socket.socket) -> socket.socket:
            tried = set[Place]()
            while True:
                place = backends.choose(connection.getpeername()[0])
                try:
                    return await self._reach(*place)
                except OSError:
                    tried.add(place)
                    if tried.issuperset(backends.places):
                        raise

        return relays.Relay(self._listen(address, port), relays.to(reach))


def _ports(service: dict[str, Any]) -> "list[tuple[_Key, tuple[list[Place], int]]]":
    address = service.get("clusterIP")
    if not address or address == HEADLESS:
        return []
    made: list[tuple[_Key, tuple[list[Place], int]]] = []
    for port in service["ports"]:
        at = [(address, port["port"])] + ([(MACHINE, port["nodePort"])] if port.get("nodePort") else [])
        places = [(each["ip"], each["ports"][port["name"]]) for each in service["endpoints"] if port["name"] in each["ports"]]
        if places and port["protocol"] in {"TCP", "UDP"}:
            sticky = (service.get("affinity") or 0) and int(service["affinity"] or _AFFINITY_SECONDS)
            made += [((where, number, port["protocol"]), (places, sticky)) for where, number in at]
    return made


class _Packets:
    """A UDP port of a Service: each sender has a socket of its own to its endpoint."""

    def __init__(self, sock: socket.socket, backends: Backends, send: Callable[[str, int], socket.socket]) -> None:
        sock.setblocking(False)
        self._socket, self._backends, self._send = sock, backends, send
        self._senders: dict[Place, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data, sender = await loop.sock_recvfrom(self._socket, _LARGEST)
                if sender not in self._senders:
                    other = self._send(*self._backends.choose(sender[0]))
                    self._senders[sender] = (other, asyncio.create_task(self._back(other, sender)))
                await loop.sock_sendall(self._senders[sender][0], data)
            except OSError:  # nobody is there; UDP tells nobody
                continue

    async def _back(self, other: socket.socket, sender: Place) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                async with asyncio.timeout(_FORGOTTEN_AFTER):
                    data = await loop.sock_recv(other, _LARGEST)
                await loop.sock_sendto(self._socket, data, sender)
        self._senders.pop(sender, None)
        other.close()

    def close(self) -> None:
        """End it, and who spoke to it."""
        for other, task in self._senders.values():
            relays.close_after(task, other)
        relays.close_after(self._task, self._socket)
