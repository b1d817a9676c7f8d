"""What a packet of IPv4 is made of, as far as datagrams need it: RFC 791, 768 and 792. Plain bytes, no I/O."""

import socket
import struct
from dataclasses import dataclass, replace
from typing import Final

UDP: Final = socket.IPPROTO_UDP
NO_NETWORK, NO_HOST, NO_PORT, FORBIDDEN = 0, 1, 3, 13  # why something is unreachable
LARGEST = 65535
_ICMP: Final = socket.IPPROTO_ICMP
_UNREACHABLE = 3
_VERSION, _HEADER, _UDP_HEADER = 4, 20, 8
_TIME_TO_LIVE = 64
_QUOTED = 8  # bytes of what a packet carries that a complaint about it repeats


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet.

    Attributes:
        protocol: What it carries.
        source: The sender's address.
        target: The receiver's address.
        content: What it carries: a datagram with its header.
        start: Its own header and the first bytes of what it carries, for a complaint about it.
    """

    protocol: int
    source: str
    target: str
    content: bytes
    start: bytes

    def start_alone(self) -> "Packet":
        """What a complaint about it needs."""
        return replace(self, content=b"")

    @property
    def ports(self) -> tuple[int, int]:
        """From which port its datagram comes, and to which it goes."""
        source, target = struct.unpack_from("!HH", self.content)
        return source, target

    @property
    def data(self) -> bytes:
        """What its datagram says."""
        return self.content[_UDP_HEADER:]


def parse(data: bytes) -> Packet | None:
    """A packet, read; ``None`` for a piece of one, for a complaint about another, and for what is none.

    Examples:
        >>> packet = parse(datagram(("8.8.8.8", 53), ("10.244.0.2", 4000), b"hello"))
        >>> packet.source, packet.target, packet.ports, packet.data
        ('8.8.8.8', '10.244.0.2', (53, 4000), b'hello')
    """
    if len(data) < _HEADER or data[0] >> 4 != _VERSION:
        return None
    header, whole = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
    piece = int.from_bytes(data[6:8], "big") & 0x3FFF  # where it belongs, and whether more follow
    if piece or not _HEADER <= header <= whole - _UDP_HEADER <= len(data) - _UDP_HEADER:
        return None
    content = data[header:whole]
    if data[9] == _ICMP and content[0] == _UNREACHABLE:
        return None
    return Packet(data[9], socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), content, data[: header + _QUOTED])


def datagram(source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    """A packet with a datagram of UDP in it, without the checksum of its data, which is optional."""
    header = struct.pack("!HHHH", source[1], target[1], len(data) + _UDP_HEADER, 0)
    return _packet(UDP, source[0], target[0], header + data)


def unreachable(packet: Packet, code: int) -> bytes:
    """A packet that tells the sender of another why it did not arrive."""
    message = struct.pack("!BBHI", _UNREACHABLE, code, 0, 0) + packet.start
    return _packet(_ICMP, packet.target, packet.source, message[:2] + _checksum(message) + message[4:])


def _packet(protocol: int, source: str, target: str, content: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, _HEADER + len(content), 0, 0, _TIME_TO_LIVE, protocol, 0)
    header += socket.inet_aton(source) + socket.inet_aton(target)
    return header[:10] + _checksum(header) + header[12:] + content


def _checksum(data: bytes) -> bytes:
    """The sum of RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
