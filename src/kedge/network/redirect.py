"""The way out of a node's network: connections to addresses that are not in it end at a socket of ours, which passes them on.

The kernel does that with one rule of its packet filter, made through its own socket (nf_tables, ``linux/netfilter/nf_tables.h``),
so no program is needed. Of such a connection, `original` says where it was going.
"""

import socket
import struct

from kedge.network.netlink import Netlink, attribute

_FILTER = 12  # NETLINK_NETFILTER
_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_REQUEST, _ACKNOWLEDGE, _CREATE, _APPEND = 1, 4, 0x400, 0x800
_NESTED = 0x8000
_PREROUTING, _PRIORITY = 0, -100
_VERDICT, _REGISTER, _SECOND = 0, 1, 2  # registers
_EQUAL, _DIFFERENT = 0, 1
_NETWORK_HEADER, _DESTINATION_AT = 1, 16
_META_PROTOCOL = 16
_ORIGINAL = 80  # SO_ORIGINAL_DST


def install(port: int, *, own: list[tuple[str, int]]) -> None:
    """Have TCP connections that leave the network of this namespace end at a port of it.

    Args:
        port: The port.
        own: The ranges (address, length of the prefix) that are in it.

    Raises:
        OSError: The kernel does not do that here.
    """
    with Netlink(_FILTER) as link:
        family = struct.pack("BBH", socket.AF_INET, 0, 0)
        batch = struct.pack("BBH", socket.AF_UNSPEC, 0, socket.htons(10))
        table = attribute(1, b"kedge\0")
        chain = (
            table
            + attribute(3, b"out\0")
            + attribute(4 | _NESTED, attribute(1, _number(_PREROUTING)) + attribute(2, _number(_PRIORITY)))
        )
        chain += attribute(7, b"nat\0")
        rule = table + attribute(2, b"out\0") + attribute(4 | _NESTED, b"".join(_rule(port, own)))
        messages = (
            (_SUBSYSTEM | _NEW_TABLE, _CREATE, family + table),
            (_SUBSYSTEM | _NEW_CHAIN, _CREATE, family + chain),
            (_SUBSYSTEM | _NEW_RULE, _CREATE | _APPEND, family + rule),
        )
        packet = link.message(_BATCH_BEGIN, _REQUEST, batch)
        packet += b"".join(link.message(kind, flags | _REQUEST | _ACKNOWLEDGE, body) for kind, flags, body in messages)
        link.socket.send(packet + link.message(_BATCH_END, _REQUEST, batch))
        for _ in messages:
            link.answered("redirect connections that leave the Pods' network")


def original(connection: socket.socket) -> tuple[str, int]:
    """Where a connection that was redirected was going: address and port."""
    _, port, address = struct.unpack_from("!HH4s", connection.getsockopt(socket.IPPROTO_IP, _ORIGINAL, 16))
    return socket.inet_ntoa(address), port


def _rule(port: int, own: list[tuple[str, int]]) -> list[bytes]:
    made = [_expression("meta", attribute(2, _number(_META_PROTOCOL)) + attribute(1, _number(_REGISTER)))]
    made.append(_compare(bytes([socket.IPPROTO_TCP]), _EQUAL))
    for address, prefix in [*own, ("127.0.0.0", 8)]:
        mask = struct.pack("!I", (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF)
        at = attribute(2, _number(_NETWORK_HEADER)) + attribute(3, _number(_DESTINATION_AT)) + attribute(4, _number(4))
        made.append(_expression("payload", attribute(1, _number(_REGISTER)) + at))
        bits = attribute(4 | _NESTED, attribute(1, mask)) + attribute(5 | _NESTED, attribute(1, bytes(4)))
        made.append(
            _expression(
                "bitwise", attribute(1, _number(_REGISTER)) + attribute(2, _number(_REGISTER)) + attribute(3, _number(4)) + bits
            )
        )
        made.append(_compare(socket.inet_aton(address), _DIFFERENT))
    made.append(
        _expression("immediate", attribute(1, _number(_REGISTER)) + attribute(2 | _NESTED, attribute(1, struct.pack("!H", port))))
    )
    made.append(_expression("redir", attribute(1, _number(_REGISTER))))
    return made


def _compare(value: bytes, how: int) -> bytes:
    return _expression(
        "cmp", attribute(1, _number(_REGISTER)) + attribute(2, _number(how)) + attribute(3 | _NESTED, attribute(1, value))
    )


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1 | _NESTED, attribute(1, name.encode() + b"\0") + attribute(2 | _NESTED, data))


def _number(value: int) -> bytes:
    return struct.pack("!i", value)
