"""Links, addresses and routes of the network namespace that this process is in, through the kernel's own socket (rtnetlink(7)).

No program is needed for it, and nothing is parsed but the kernel's yes or no.
"""

import os
import socket
import struct
from typing import Self

_NEW_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_ROUTE, _ERROR = 16, 19, 20, 24, 2
_REQUEST, _ACKNOWLEDGE, _EXCLUSIVE, _CREATE = 1, 4, 0x200, 0x400
_LINK_HARDWARE, _LINK_NAME, _LINK_LARGEST, _LINK_MASTER, _LINK_INFO, _LINK_FAMILIES, _LINK_NAMESPACE = 1, 3, 4, 10, 18, 26, 28
_LINK_MERGED = 40  # IFLA_GSO_MAX_SEGS; those before are IFLA_* too
_INFO_KIND, _INFO_DATA, _PEER = 1, 2, 1
_ADDRESS, _LOCAL = 1, 2  # IFA_*
_DESTINATION, _OUT, _GATEWAY = 1, 4, 5  # RTA_*
_SETTINGS, _FORWARDING = 1, 1  # IFLA_INET_CONF, IPV4_DEVCONF_FORWARDING
_UP, _SILENT = 1, 0x80  # IFF_NOARP
_LARGEST = 65535
_MAIN_TABLE, _LOCAL_TABLE = 254, 255
_BOOT, _UNIVERSE, _HOST, _LINK = 3, 0, 254, 253
_UNICAST, _LOCAL_ROUTE = 1, 2


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute: its length, its kind, its bytes, padded to four."""
    return struct.pack("HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


class Netlink:
    """A socket to the kernel; belongs to the namespace in which it was opened.

    Args:
        protocol: 0 for links, addresses and routes; 12 for the packet filter.
    """

    def __init__(self, protocol: int = 0) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def message(self, kind: int, flags: int, body: bytes) -> bytes:
        """One message with its header."""
        self._number += 1
        return struct.pack("IHHII", len(body) + 16, kind, flags, self._number, 0) + body

    def ask(self, kind: int, flags: int, body: bytes, what: str) -> None:
        """Send a request and wait for the kernel's answer; raises `OSError` that says what was asked for."""
        self.socket.send(self.message(kind, flags | _REQUEST | _ACKNOWLEDGE, body))
        self.answered(what)

    def answered(self, what: str) -> None:
        """Read one answer; raises `OSError` when it is a no."""
        answer = self.socket.recv(65536)
        _, kind, _, _, _, error = struct.unpack_from("IHHIIi", answer)
        if kind == _ERROR and error:
            raise OSError(-error, f"{what}: {os.strerror(-error)}")

    def make_bridge(self, name: str, hardware: bytes) -> None:
        """Make a bridge.

        Args:
            name: Its name.
            hardware: Its hardware address. Without one it has that of one of its links, and another whenever these change: for
                seconds, who knows the old one does not reach it.
        """
        info = attribute(_LINK_HARDWARE, hardware) + attribute(_LINK_INFO, attribute(_INFO_KIND, b"bridge"))
        self._make(attribute(_LINK_NAME, name.encode() + b"\0") + info, f"make the bridge {name}")

    def make_pair(self, name: str, peer: str, namespace: int) -> None:
        """Make two links that are joined, the second one in another namespace.

        Args:
            name: Of the link here.
            peer: Of the link there.
            namespace: A descriptor of the other namespace.
        """
        there = struct.pack("BxHiII", 0, 0, 0, 0, 0) + attribute(_LINK_NAME, peer.encode() + b"\0")
        there += attribute(_LINK_NAMESPACE, struct.pack("i", namespace))
        info = attribute(_INFO_KIND, b"veth") + attribute(_INFO_DATA, attribute(_PEER, there))
        self._make(
            attribute(_LINK_NAME, name.encode() + b"\0") + attribute(_LINK_INFO, info), f"make the links {name} and {peer}"
        )

    def _make(self, attributes: bytes, what: str) -> None:
        self.ask(_NEW_LINK, _CREATE | _EXCLUSIVE, struct.pack("BxHiII", 0, 0, 0, 0, 0) + attributes, what)

    def bring_up(self, name: str, *, bridge: str = "") -> None:
        """Bring a link up, and connect it to a bridge."""
        master = attribute(_LINK_MASTER, struct.pack("i", socket.if_nametoindex(bridge))) if bridge else b""
        body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), _UP, _UP) + master
        self.ask(_SET_LINK, 0, body, f"bring {name} up")

    def open_wide(self, name: str, hardware: bytes = b"") -> None:
        """Have a link take packets of every size, each for itself, without asking who is at its other end.

        Args:
            name: Its name.
            hardware: The hardware address that it gets.
        """
        body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), _SILENT, _SILENT)
        body += attribute(_LINK_LARGEST, struct.pack("I", _LARGEST)) + attribute(_LINK_MERGED, struct.pack("I", 1))
        body += attribute(_LINK_HARDWARE, hardware) if hardware else b""
        self.ask(_SET_LINK, 0, body, f"open {name} for packets of every size")

    def forward(self, name: str) -> None:
        """Pass on what comes over a link and is for elsewhere."""
        settings = attribute(_SETTINGS, attribute(_FORWARDING, struct.pack("I", 1)))
        body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0)
        body += attribute(_LINK_FAMILIES, attribute(socket.AF_INET, settings))
        self.ask(_SET_LINK, 0, body, f"pass on what comes over {name}")

    def add_address(self, name: str, address: str, prefix: int) -> None:
        """Give a link an IPv4 address."""
        packed = socket.inet_aton(address)
        body = struct.pack("BBBBi", socket.AF_INET, prefix, 0, _UNIVERSE, socket.if_nametoindex(name))
        body += attribute(_LOCAL, packed) + attribute(_ADDRESS, packed)
        self.ask(_NEW_ADDRESS, _CREATE | _EXCLUSIVE, body, f"give {name} the address {address}/{prefix}")

    def add_default_route(self, *, gateway: str = "", link: str = "") -> None:
        """Send what is for elsewhere to a gateway, or into a link."""
        scope = _UNIVERSE if gateway else _LINK
        body = struct.pack("BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _BOOT, scope, _UNICAST, 0)
        body += attribute(_GATEWAY, socket.inet_aton(gateway)) if gateway else b""
        body += attribute(_OUT, struct.pack("i", socket.if_nametoindex(link))) if link else b""
        self.ask(_NEW_ROUTE, _CREATE, body, f"a route through {gateway or link}")

    def own_range(self, address: str, prefix: int) -> None:
        """Have every address of a range be this namespace's own: a socket can be bound to each."""
        body = struct.pack("BBBBBBBBI", socket.AF_INET, prefix, 0, 0, _LOCAL_TABLE, _BOOT, _HOST, _LOCAL_ROUTE, 0)
        body += attribute(_DESTINATION, socket.inet_aton(address)) + attribute(
            _OUT, struct.pack("i", socket.if_nametoindex("lo"))
        )
        self.ask(_NEW_ROUTE, _CREATE, body, f"own {address}/{prefix}")
