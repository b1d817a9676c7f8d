"""The process that lives in the node's network namespace: makes Pods' namespaces, and sockets in any of them.

It does one request after the other, each a packet of JSON, and hands over what it has made as descriptors. Where nobody is root
it first enters the user namespace of the supervisor's containers, so that these may enter what it makes.
"""

import contextlib
import errno
import json
import os
import platform
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from kedge.network.netlink import Netlink
from kedge.network.redirect import install
from kedge.supervisor import view

BRIDGE = "kedge0"
GATEWAY, PODS = "10.244.0.1", ("10.244.0.0", 16)
SERVICES = ("10.96.0.0", 16)
_HARDWARE = bytes([0x0A, 0x58, *socket.inet_aton(GATEWAY)])
_NEAR, _FAR, _NEAR_HARDWARE = "out0", "out1", bytes([0x0A, 0x58, 0, 0, 0, 1])  # a link on which packets leave
_IPV4 = 0x0800
NEAR_END = (_FAR, _IPV4, 0, 0, _NEAR_HARDWARE)
"""The address of that link's near end, as packet sockets at the far one have it."""
_PACKETS, _FAN_OUT, _DEFRAGMENTED = 263, 18, 0x8000  # SOL_PACKET, PACKET_FANOUT, PACKET_FANOUT_FLAG_DEFRAG
_BACKLOG = 128
_LARGEST = 65536


class Spaces:
    """The namespaces.

    Args:
        channel: A packet socket to the daemon.
        users: Path of the user namespace to enter; empty for root.
    """

    def __init__(self, channel: socket.socket, users: str) -> None:
        self._channel = channel
        if users:
            fd = os.open(users, os.O_RDONLY | os.O_CLOEXEC)
            view.setns(fd, view.CLONE_NEWUSER)
            os.close(fd)
        self._kept: dict[str, int] = {}
        self._made = 0
        self._node = self._fresh()
        with Netlink() as link:
            link.bring_up("lo")
            link.make_bridge(BRIDGE, _HARDWARE)
            link.add_address(BRIDGE, GATEWAY, PODS[1])
            link.bring_up(BRIDGE)
            link.own_range(*SERVICES)

    def tried(self) -> "Refusals":
        """Try all that Pods need; raises `OSError` where they cannot have networks at all."""
        self._make([], "tried", "10.244.0.2", [])
        return Refusals("", _refusal(self._redirect), _refusal(self._outlet))

    def run(self) -> None:
        """Serve until the daemon is gone."""
        while packet := self._channel.recv(_LARGEST):
            request = json.loads(packet)
            made: list[socket.socket] = []
            try:
                answer = getattr(self, "_" + request.pop("op"))(made, **request)
            except OSError as error:
                answer = {"error": said(error)}
            socket.send_fds(self._channel, [json.dumps(answer or {}).encode()], [each.fileno() for each in made])
            for each in made:
                each.close()

    def _fresh(self) -> int:
        view.unshare(view.CLONE_NEWNET)
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _enter(self, name: str) -> None:
        if name and name not in self._kept:
            raise OSError(errno.ENOENT, "the Pod has no network")
        view.setns(self._kept[name] if name else self._node, view.CLONE_NEWNET)

    def _redirect(self, made: list[socket.socket]) -> None:
        """A listening socket at which everything arrives that goes out."""
        made.append(socket.create_server(("0.0.0.0", 0), backlog=_BACKLOG))  # noqa: S104  # in a network of our own
        install(made[0].getsockname()[1], own=[PODS, SERVICES])

    def _outlet(self, made: list[socket.socket]) -> None:
        """A packet socket at which datagrams arrive whole that go out, and into which goes what comes back."""
        with Netlink() as link:
            link.make_pair(_NEAR, _FAR, self._node)
            link.open_wide(_NEAR, _NEAR_HARDWARE)
            link.open_wide(_FAR)
            link.bring_up(_NEAR)
            link.bring_up(_FAR)
            for each in (_NEAR, BRIDGE):
                link.forward(each)
            link.add_default_route(link=_NEAR)
        made.append(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0))
        made[0].bind((_FAR, _IPV4))
        made[0].setsockopt(_PACKETS, _FAN_OUT, struct.pack("HH", 1, _DEFRAGMENTED))

    def _make(self, made: list[socket.socket], name: str, address: str, ports: list[int]) -> dict[str, Any]:
        """A Pod's namespace, with sockets that listen on ports of its own loopback."""
        self._made += 1
        outside = f"pod{self._made}"
        fd = self._fresh()
        try:
            with Netlink() as link:
                link.bring_up("lo")
                link.make_pair("eth0", outside, self._node)
                link.add_address("eth0", address, PODS[1])
                link.bring_up("eth0")
                link.add_default_route(gateway=GATEWAY)
            made += [socket.create_server(("127.0.0.1", port), backlog=_BACKLOG) for port in ports]
        except OSError:
            os.close(fd)
            raise
        finally:
            view.setns(self._node, view.CLONE_NEWNET)
        with Netlink() as link:
            link.bring_up(outside, bridge=BRIDGE)
        self._kept[name] = fd
        return {"path": f"/proc/{os.getpid()}/fd/{fd}", "inode": os.fstat(fd).st_ino}

    def _drop(self, made: list[socket.socket], name: str) -> None:  # noqa: ARG002  # each request is called alike
        """Let go of a namespace: it is gone with its last process."""
        os.close(self._kept.pop(name))

    def _rename(self, made: list[socket.socket], name: str, to: str) -> None:  # noqa: ARG002  # as above
        self._kept[to] = self._kept.pop(name)

    def _listen(self, made: list[socket.socket], name: str, address: str, port: int) -> None:
        self._enter(name)
        try:
            made.append(socket.create_server((address, port), backlog=_BACKLOG))
        finally:
            self._enter("")

    def _receive(self, made: list[socket.socket], address: str, port: int) -> None:
        """A UDP socket that is bound to an address of the node's network."""
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
        made[0].bind((address, port))

    def _socket(self, made: list[socket.socket], name: str, kind: str) -> None:
        """A socket that can be connected to any Pod, or to one's own loopback."""
        self._enter(name)
        try:
            chosen = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
            made.append(socket.socket(socket.AF_INET, chosen | socket.SOCK_CLOEXEC))
        finally:
            self._enter("")


class Refusals(NamedTuple):
    """Why this machine does not allow something to the networks of Pods; empty where it does.

    Attributes:
        own: That there are any.
        tcp: That TCP leaves them.
        udp: That UDP does.
    """

    own: str
    tcp: str = ""
    udp: str = ""


def probe() -> Refusals:
    """What Pods' networks can be here. Tried in a child, which ends at once."""
    if not sys.platform.startswith("linux"):
        return Refusals(f"{platform.system()} has none")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(_tried()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        found: list[str] = json.loads(answer.read() or b'["it cannot be tried"]')
    os.waitpid(child, 0)
    return Refusals(*found)


def _tried() -> Refusals:
    try:
        if os.geteuid():
            view.unshare(view.CLONE_NEWUSER)
        return Spaces(socket.socket(socket.AF_UNIX), "").tried()
    except OSError as error:
        return Refusals(said(error))


def _refusal(make: Callable[[list[socket.socket]], None]) -> str:
    try:
        make([])
    except OSError as error:
        return said(error)
    return ""


def said(error: OSError) -> str:
    """What is told of an error that the system gave, without its number."""
    return error.strerror or str(error)


def serve(channel: socket.socket, users: str) -> None:
    """Be that process, until the daemon is gone; the first packet says whether it could be."""
    try:
        spaces = Spaces(channel, users)
    except OSError as error:
        channel.send(json.dumps({"error": said(error)}).encode())
        return
    channel.send(b"{}")
    with contextlib.suppress(OSError):
        spaces.run()
