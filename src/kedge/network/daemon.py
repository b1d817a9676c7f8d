"""The process of a node's network that stays in the machine's own: answers the agent, resolves names, passes connections on.

It outlives the hub, as the supervisor does, and knows from the last table that it was told what there is. It ends when neither an
agent is connected nor the supervisor of its directory lives. What is said over its socket: `protocol`.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from kedge.network import protocol, records, relays, spaces
from kedge.network.datagrams import Datagrams
from kedge.network.redirect import original
from kedge.network.resolver import Resolver
from kedge.network.services import MACHINE as _LOOPBACK
from kedge.network.services import Services

_LARGEST = 65536
_LOOK_SECONDS = 0.5
_FIRST_CONNECTION_SECONDS = 20.0
_SUPERVISOR_LOCK = "supervisor.lock"
_FIRST_ADDRESS, _LAST_ADDRESS = 2, (1 << 16) - 2


class Daemon:
    """The network of one node.

    Args:
        channel: A packet socket to the process of `spaces`.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._resolver = Resolver()
        self._services = Services(
            self._listen,
            self._receive,
            self._reach,
            self._send,
        )
        self._ports: list[int] = []
        self._pods: dict[str, dict[str, Any]] = {}
        self._relays: dict[str, list[relays.Relay]] = {}
        self._next = _FIRST_ADDRESS
        self._agents = 0
        self._left = asyncio.Event()  # nobody is connected any more
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._way_out = self._way_out_udp = ""

    async def run(self, listener: socket.socket) -> None:
        """Serve until nobody needs it."""
        self._start(self._resolver.serve_packets(self._one("receive", address=protocol.RESOLVER, port=53)))
        names = self._one("listen", name="", address=protocol.RESOLVER, port=53)
        kept = [relays.Relay(names, self._resolver.serve_stream)]
        try:
            kept.append(relays.Relay(self._one("redirect"), relays.to(_out)))
        except OSError as error:
            self._way_out = spaces.said(error)
        try:
            self._start(Datagrams(self._one("outlet"), spaces.NEAR_END, _is_pod).run())
        except OSError as error:
            self._way_out_udp = spaces.said(error)
        relays_of_agents = relays.Relay(listener, self._serve)
        self._start(self._look())
        await self._ended.wait()
        relays_of_agents.close()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self) -> None:
        """End when nobody is there any more."""
        # Not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for, as a last word does.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_CONNECTION_SECONDS):
                await self._left.wait()
        while self._agents or _supervisor_lives():
            await asyncio.sleep(_LOOK_SECONDS)  # a lock of another process tells nobody when it is let go
            if self._agents:
                await self._left.wait()
        self._ended.set()

    # -- the process in the namespaces -----------------------------------------------------------------------------------

    def _ask(self, op: str, **what: Any) -> tuple[dict[str, Any], list[socket.socket]]:
        try:
            self._channel.send(json.dumps({"op": op, **what}).encode())
            packet, fds, _, _ = socket.recv_fds(self._channel, _LARGEST, 64)
        except ConnectionError:
            packet, fds = b"", []
        if not packet:
            self._ended.set()
            raise OSError("the process in the Pods' network has died")
        answer = json.loads(packet)
        if answer.get("error"):
            raise OSError(answer["error"])
        return answer, [socket.socket(fileno=fd) for fd in fds]

    def _one(self, op: str, **what: Any) -> socket.socket:
        return self._ask(op, **what)[1][0]

    def _listen(self, address: str, port: int) -> socket.socket:
        if address == _LOOPBACK:
            return socket.create_server((address, port))
        return self._one("listen", name="", address=address, port=port)

    def _receive(self, address: str, port: int) -> socket.socket:
        if address != _LOOPBACK:
            return self._one("receive", address=address, port=port)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((address, port))
        except OSError:
            sock.close()
            raise
        return sock

    async def _reach(self, address: str, port: int) -> socket.socket:
        """Connect to an endpoint: a Pod's, or one in the machine's own network."""
        if not _is_pod(address):
            return await relays.connect(address, port)
        return await relays.connected(self._one("socket", name="", kind="tcp"), address, port)

    def _send(self, address: str, port: int) -> socket.socket:
        inside = _is_pod(address)
        sock = self._one("socket", name="", kind="udp") if inside else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect((address, port))
        return sock

    # -- what the agent asks for -------------------------------------------------------------------------------------------

    async def _serve(self, connection: socket.socket) -> None:
        loop, lines = asyncio.get_running_loop(), protocol.Lines()
        self._agents += 1
        self._left.clear()
        try:
            while data := await loop.sock_recv(connection, _LARGEST):
                for message in lines.feed(data):
                    answer, sock = self._answer(message)
                    with contextlib.suppress(OSError):  # who asked may be gone; what was asked for holds all the same
                        await _tell(connection, protocol.encode(answer), sock)
        finally:
            self._agents -= 1
            if not self._agents:
                self._left.set()

    def _answer(self, message: dict[str, Any]) -> tuple[dict[str, Any], socket.socket | None]:
        op = message.pop("op")
        try:
            if op == "socket":
                return {}, self._one("socket", name=message["pod"], kind="tcp")
            return getattr(self, "_do_" + op)(**message) or {}, None
        except Exception as error:  # noqa: BLE001  # what goes wrong with one request must not end the conversation
            if not isinstance(error, OSError):
                traceback.print_exc()
            return {"error": str(error)}, None

    def _do_hello(self, ports: list[int]) -> dict[str, Any]:
        self._ports = ports
        return {
            "version": protocol.VERSION,
            "pid": os.getpid(),
            "pods": self._pods,
            "wayOut": self._way_out,
            "wayOutUdp": self._way_out_udp,
        }

    def _do_give(self, pod: str, ports: list[list[int]]) -> dict[str, Any]:
        if known := self._pods.get(pod):
            return known
        with contextlib.ExitStack() as undo:
            listening = [undo.enter_context(_on_host(outside)) for outside, _ in ports]
            address = self._free_address()
            made, sockets = self._ask("make", name=pod, address=address, ports=self._ports)
            undo.pop_all()
        self._pods[pod] = {"address": address, **made}
        ways = [(sock, _to(_LOOPBACK, port, relays.connect)) for sock, port in zip(sockets, self._ports, strict=True)]
        ways += [(sock, _to(address, port, self._reach)) for sock, (_, port) in zip(listening, ports, strict=True)]
        self._relays[pod] = [relays.Relay(sock, relays.to(reach)) for sock, reach in ways]
        return self._pods[pod]

    def _do_rename(self, pod: str, to: str) -> None:
        self._ask("rename", name=pod, to=to)
        self._pods[to], self._relays[to] = self._pods.pop(pod), self._relays.pop(pod)

    def _do_drop(self, pod: str) -> None:
        if self._pods.pop(pod, None) is None:
            return
        for relay in self._relays.pop(pod, ()):
            relay.close()
        self._ask("drop", name=pod)

    def _do_table(self, services: list[dict[str, Any]]) -> dict[str, Any]:
        self._resolver.names = records.names_of(services)
        return {"faults": self._services.update(services)}

    def _do_quit(self) -> None:
        self._ended.set()

    def _free_address(self) -> str:
        """The next address that no Pod has; one that was just let go is not given again at once."""
        taken = {each["address"] for each in self._pods.values()}
        for _ in range(_LAST_ADDRESS):
            number, self._next = self._next, self._next + 1 if self._next < _LAST_ADDRESS else _FIRST_ADDRESS
            address = f"10.244.{number >> 8}.{number & 255}"
            if address not in taken:
                return address
        raise OSError("no address is left for the Pod: 65,532 Pods have one")


async def _tell(connection: socket.socket, text: bytes, sock: socket.socket | None) -> None:
    """Send an answer, with a descriptor where there is one to hand over."""
    if sock is None:
        await asyncio.get_running_loop().sock_sendall(connection, text)
        return
    with sock:
        socket.send_fds(connection, [text], [sock.fileno()])


def _is_pod(address: str) -> bool:
    return address.startswith("10.244.")


async def _out(connection: socket.socket) -> socket.socket:
    return await relays.connect(*original(connection))


def _to(address: str, port: int, connect: Callable[[str, int], Awaitable[socket.socket]]) -> relays.Reach:
    async def reach(_: socket.socket) -> socket.socket:
        return await connect(address, port)

    return reach


def _on_host(port: int) -> socket.socket:
    """A socket for a Pod's ``hostPort``, on the machine's loopback alone."""
    try:
        return socket.create_server((_LOOPBACK, port))
    except OSError as error:
        raise OSError(error.errno, f"hostPort {port} of {_LOOPBACK}: {os.strerror(error.errno or 0)}") from error


def _supervisor_lives() -> bool:
    """Whether a process holds the lock of the directory's supervisor."""
    with contextlib.suppress(FileNotFoundError), open(_SUPERVISOR_LOCK, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def serve(directory: str, users: str) -> str:
    """Start the network of a directory in two processes and a session of their own; returns once it listens.

    Args:
        directory: The node's directory.
        users: Path of the user namespace of the supervisor's containers; empty for root.

    Returns:
        Why it cannot be; empty when it listens, also when one did already.
    """
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        said = b""
        while part := os.read(ready, 4096):
            said += part
        return said.decode() if said != b"+" else ""
    os.close(ready)
    os.setsid()
    os.umask(0o077)
    os.chdir(directory)
    lock = os.open("network.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(tell, b"+")
        return ""
    _live(tell, users)
    os._exit(0)


def _live(tell: int, users: str) -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # each connection has two
    null, log = os.open(os.devnull, os.O_RDWR), os.open("network.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, fd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the hub's end, or a terminal's, must not end it
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        os.close(tell)
        spaces.serve(theirs, users)
        os._exit(0)
    theirs.close()
    answer = json.loads(ours.recv(_LARGEST) or b'{"error": "the process in the Pods\' network died"}')
    if answer.get("error"):
        os.write(tell, answer["error"].encode())
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(protocol.SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(protocol.SOCKET)
    listener.listen(128)
    os.write(tell, b"+")
    os.close(tell)
    try:
        asyncio.run(_run(ours, listener))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(protocol.SOCKET)


async def _run(channel: socket.socket, listener: socket.socket) -> None:
    await Daemon(channel).run(listener)


def main(argv: list[str]) -> int:
    """``python -m kedge.network.daemon DIR USERS``: start it; prints why it cannot be."""
    refusal = serve(argv[0], argv[1])
    sys.stdout.write(refusal)
    return int(bool(refusal))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
