"""The way out of a node's network for datagrams of UDP: each sender and where it sends to have a socket outside.

What leaves the network arrives, as whole packets, at the far end of a link; what comes back is put together here and sent into
it. The sockets are ordinary ones of the machine's network, which its routes, its VPN and its firewall treat as any program's.
"""

import asyncio
import errno
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from kedge.network import packets
from kedge.network.packets import Packet

_MOST = 512  # pairs of a sender and where it sends to, each with a socket
# As Linux keeps a pair that has spoken both ways, nf_conntrack_udp_timeout_stream, and one that has hardly spoken.
_QUIET_SECONDS, _BRIEFLY = 120.0, 30.0
_LOOK_SECONDS = 10.0
_AT_ONCE = 64  # packets that are read before others have their turn
_REASONS = {
    errno.ENETUNREACH: packets.NO_NETWORK,
    errno.EHOSTUNREACH: packets.NO_HOST,
    errno.ECONNREFUSED: packets.NO_PORT,
    errno.EACCES: packets.FORBIDDEN,
    errno.EPERM: packets.FORBIDDEN,
}
_Place = tuple[str, int]
_Pair = tuple[_Place, _Place]


@dataclass(slots=True)
class _Flow:
    """What a sender and a receiver say to each other.

    Attributes:
        sock: The socket outside.
        newest: The last packet that was sent.
        heard: When something was last sent or received.
        answers: How often something was received.
    """

    sock: socket.socket
    newest: Packet
    heard: float
    answers: int = 0

    def is_over(self, now: float) -> bool:
        """Whether nobody has said anything for so long that they have done."""
        return now - self.heard > (_QUIET_SECONDS if self.answers > 1 else _BRIEFLY)


class Datagrams:
    """The way out.

    Args:
        link: A packet socket at the far end of the link.
        near: The address of its near end, as packet sockets have it.
        is_pod: Whether an address is a Pod's. Who sends from another one is not heard: its answers would leave again.
    """

    def __init__(self, link: socket.socket, near: tuple[str, int, int, int, bytes], is_pod: Callable[[str], bool]) -> None:
        self._link, self._near, self._is_pod = link, near, is_pod
        self._flows: OrderedDict[_Pair, _Flow] = OrderedDict()  # whoever was quiet for longest comes first
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Pass on what comes, for ever, and forget who is quiet."""
        self._link.setblocking(False)
        self._loop.add_reader(self._link, self._leave)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._loop.time()
            for pair in [pair for pair, flow in self._flows.items() if flow.is_over(now)]:
                self._forget(pair)

    def _leave(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = packets.parse(self._link.recv(packets.LARGEST))
            except OSError:  # that was all, or what there was is lost
                return
            if packet is None or not self._is_pod(packet.source):
                continue
            try:
                self._send(packet)
            except OSError as error:
                self._complain(packet, error)

    def _send(self, packet: Packet) -> None:
        if packet.protocol != packets.UDP:
            raise PermissionError(errno.EPERM, "TCP and UDP go out, nothing else")
        source, target = packet.ports
        pair = (packet.source, source), (packet.target, target)
        flow = self._flows.get(pair) or self._begin(pair, packet)
        flow.newest, flow.heard = packet.start_alone(), self._loop.time()
        self._flows.move_to_end(pair)
        flow.sock.send(packet.data)

    def _begin(self, pair: _Pair, packet: Packet) -> _Flow:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(pair[1])
        except OSError:
            sock.close()
            raise
        if len(self._flows) >= _MOST:
            self._forget(self._spare())
        flow = self._flows[pair] = _Flow(sock, packet, self._loop.time())
        self._loop.add_reader(sock, self._come_back, pair, flow)
        return flow

    def _come_back(self, pair: _Pair, flow: _Flow) -> None:
        sender, receiver = pair
        try:
            data = flow.sock.recv(packets.LARGEST)
        except OSError as error:
            self._complain(flow.newest, error)
            return
        flow.heard, flow.answers = self._loop.time(), flow.answers + 1
        self._flows.move_to_end(pair)
        self._return(packets.datagram(receiver, sender, data))

    def _complain(self, packet: Packet, error: OSError) -> None:
        """Tell the sender what its own kernel would have told it, had it sent from the machine; the rest is lost."""
        if error.errno in _REASONS:
            self._return(packets.unreachable(packet, _REASONS[error.errno]))

    def _return(self, packet: bytes) -> None:
        try:
            self._link.sendto(packet, self._near)
        except OSError:  # no room: a datagram may be lost
            return

    def _spare(self) -> _Pair:
        """The pair to forget for another one: of the Pod that has most of them, the one that was quiet for longest."""
        busiest, _ = Counter(sender[0] for sender, _ in self._flows).most_common(1)[0]
        return next(pair for pair in self._flows if pair[0][0] == busiest)

    def _forget(self, pair: _Pair) -> None:
        flow = self._flows.pop(pair)
        self._loop.remove_reader(flow.sock)
        flow.sock.close()
