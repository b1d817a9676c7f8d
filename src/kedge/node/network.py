"""The network of this node's Pods, as its agent has it: which Pods get one of their own, and what they find in it.

The work is done by the processes of `kedge.network`, which are started with the first Pod that wants one. Where they cannot be,
Pods share the machine's network, as on macOS.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import ssl
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.control.background import Background
from kedge.errors import KedgeError
from kedge.kube.kinds import Obj
from kedge.network import protocol, relays
from kedge.node import names, sockets
from kedge.node.dialing import Streams, plainly

_log = logging.getLogger(__name__)
MACHINE = "127.0.0.1"
"""The address of Pods that share the machine's network."""
RUN = "kedge.dev/run"
_PODS = "10.244."
_LONGEST_HOSTNAME = 63
_GONE = "the Pods' network is gone"
_OLDER = "it was started by an earlier version of Kedge, and ends when neither the hub nor a Pod runs"
_SPARE, _MOST_SPARES = "spare-", 4
_PATIENCE = 30.0
_ATTEMPTS, _PAUSE = 100, 0.05
# Without `site`: nothing of it is needed, and it costs time and memory.
_PROGRAM = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parent.parent.parent)!r}); "
    "from kedge.network.daemon import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(frozen=True, slots=True)
class Own:
    """A Pod's own network.

    Attributes:
        address: The Pod's.
        hostname: Its name there.
        path: Where its namespace is.
        inode: Which one that is.
        no_udp: Why UDP does not leave the Pods' network; empty when it does.
    """

    address: str
    hostname: str
    path: str
    inode: int
    no_udp: str = ""

    def as_spec(self) -> Obj:
        """As the supervisor takes it."""
        return {"path": self.path, "inode": self.inode, "hostname": self.hostname}


def is_step(pod: Obj) -> bool:
    """Whether a Pod is a step of a run."""
    return RUN in (pod["metadata"].get("labels") or {})


def wants_own(pod: Obj) -> bool:
    """Whether a Pod gets a network of its own: all but those of the machine's network, and steps of runs.

    Steps bind no ports, and use what listens on this machine's loopback.
    """
    return not pod["spec"].get("hostNetwork") and not is_step(pod)


def hostname_of(pod: Obj) -> str:
    """A Pod's name in its network.

    Examples:
        >>> hostname_of({"metadata": {"name": "web-0"}, "spec": {}})
        'web-0'
    """
    spec = pod["spec"]
    name = spec.get("hostname") or pod["metadata"]["name"][:_LONGEST_HOSTNAME].rstrip("-.")
    return names.qualified(pod, name) if spec.get("setHostnameAsFQDN") and spec.get("subdomain") else name


def _host_ports(pod: Obj) -> list[tuple[int, int]]:
    """Ports of the machine's loopback that lead to a Pod's; only TCP is."""
    every = (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    ports: list[Obj] = [port for container in every for port in container.get("ports") or ()]
    return [(each["hostPort"], each["containerPort"]) for each in ports if each.get("hostPort") and each.get("protocol") == "TCP"]


class PodNetwork:
    """A connection to the network of a directory.

    Args:
        directory: The node's.
        ports: Ports of this machine's loopback that Pods find on their own: the host's.

    Attributes:
        on_start: Called when it has been started, or found, and knows of no Service yet.
        machine: The address of Pods that share the machine's network.
        refusal: Why Pods share the machine's network; empty when they have their own.
    """

    def __init__(self, directory: Path, ports: Iterable[int]) -> None:
        self._directory = directory
        self._ports = list(ports)
        self.on_start: Callable[[], None] | None = None
        self._starting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._asked: deque[asyncio.Future[Obj]] = deque()  # answers come in the order of requests
        self._spares: dict[str, Obj] = {}
        self._filling = 0
        self._background = Background("network")
        self._users = ""
        self._known: dict[str, Obj] = {}
        self._no_udp = ""
        self.machine = MACHINE
        self.refusal = "the supervisor has not answered yet"

    @property
    def connected(self) -> bool:
        """Whether it runs."""
        return self._writer is not None

    def has(self, uid: str) -> bool:
        """Whether a Pod has a network of its own."""
        return uid in self._known

    def expected(self, pod: Obj) -> str:
        """The address of a Pod that has been given none yet: empty where it will be one of its own."""
        return "" if wants_own(pod) and not self.refusal else self.machine

    async def begin(self, users: str, refusal: str) -> None:
        """Look whether one runs already, from before the hub was started.

        Args:
            users: The user namespace of containers; empty where root needs none.
            refusal: Why Pods have no private view, without which they have no network of their own; empty when they have.
        """
        self._users, self.refusal = users, refusal
        if refusal:
            return
        async with self._starting:
            await self._connect()

    async def give(self, pod: Obj) -> Own | None:
        """The network of a Pod, the same one each time; ``None`` where the machine's network is the Pod's.

        Raises:
            KedgeError: It could not be made this time.
        """
        if self.refusal or not wants_own(pod):
            return None
        if self._writer is None:
            async with self._starting:
                if self._writer is None and not await self._connect():
                    await self._launch()
        if self.refusal:
            return None
        uid, ports = pod["metadata"]["uid"], _host_ports(pod)
        made = self._known.get(uid) or self._take_spare(uid, ports) or await self._ask({"op": "give", "pod": uid, "ports": ports})
        if made.get("error"):
            raise KedgeError(f"the Pod's network cannot be made: {made['error']}")
        self._known[uid] = made
        self._background.start(self._fill())
        return Own(made["address"], hostname_of(pod), made["path"], made["inode"], self._no_udp)

    def _take_spare(self, uid: str, ports: list[tuple[int, int]]) -> Obj | None:
        """Give a Pod one that was made before; what is asked for is done in its order, so nobody need wait for the answer."""
        if ports or not self._spares:
            return None
        name, made = self._spares.popitem()
        self._send({"op": "rename", "pod": name, "to": uid})
        return made

    async def _fill(self) -> None:
        """Have some ready for the next Pods."""
        while self._writer is not None and len(self._spares) + self._filling < _MOST_SPARES:
            self._filling += 1
            name = f"{_SPARE}{secrets.token_hex(8)}"
            try:
                made = await self._ask({"op": "give", "pod": name, "ports": []})
            finally:
                self._filling -= 1
            if made.get("error"):
                return  # the next Pod that wants one says so
            self._spares[name] = made

    async def drop(self, uid: str) -> None:
        """Let go of a Pod's network, if it has one."""
        if self._known.pop(uid, None) is not None:
            await self._ask({"op": "drop", "pod": uid})

    async def keep_only(self, uids: set[str]) -> None:
        """Let go of the networks of all other Pods."""
        for uid in self._known.keys() - uids:
            await self.drop(uid)

    async def tell(self, services: list[dict[str, Any]]) -> None:
        """Say what Services there are; what cannot be had is logged."""
        if self._writer is None:
            return
        answer = await self._ask({"op": "table", "services": services})
        for fault in answer.get("faults") or ():
            _log.warning("a Service has no socket", extra={"error": fault})

    async def connect(self, address: str, port: int, *, pod: str = "") -> socket.socket:
        """Connect to a port of a Pod.

        Args:
            address: The Pod's, or one of its loopback.
            port: Where it listens.
            pod: Whose loopback is meant, by uid; empty for an address of the Pods' network or the machine's.

        Raises:
            OSError: Nobody listens there.
        """
        own = pod in self._known if pod else address.startswith(_PODS)
        if own and not self.refusal:
            sock = await asyncio.to_thread(self._socket, pod)
        else:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        return await relays.connected(sock, address, port)

    async def open(self, host: str, port: int, context: ssl.SSLContext | None = None) -> Streams:
        """Connect to whatever is meant by a host's name or address; see `kedge.node.dialing.Dial`."""
        if not host.startswith(_PODS):
            return await plainly(host, port, context)
        sock = await self.connect(host, port)
        return await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host if context else None)

    async def stop(self, *, end: bool = False) -> None:
        """Disconnect; names and Services go on for what runs.

        Args:
            end: End the network itself, too: nothing runs any more.
        """
        writer = self._writer
        if end:
            await self._ask({"op": "quit"})
        self._hang_up()
        await self._background.stop()
        if writer is not None:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    # -- the connection ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> bool:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sockets.connect(sock, self._directory, protocol.SOCKET)
        except OSError:
            sock.close()
            return False
        sock.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=1 << 24)
        self._background.start(self._read(reader, self._writer))
        hello = await self._ask({"op": "hello", "ports": self._ports})
        if hello.get("version") != protocol.VERSION:
            await self._ask({"op": "quit"})
            self._hang_up()
            return False
        self._known = {name: made for name, made in hello["pods"].items() if not name.startswith(_SPARE)}
        self._spares = {name: made for name, made in hello["pods"].items() if name.startswith(_SPARE)}
        if hello["wayOut"]:
            _log.warning("Pods reach nothing outside of their network", extra={"error": hello["wayOut"]})
        self._no_udp = hello.get("wayOutUdp", _OLDER)
        if self._no_udp:
            _log.warning("UDP does not leave the Pods' network", extra={"error": self._no_udp})
        if self.on_start is not None:
            self.on_start()
        return True

    async def _launch(self) -> None:
        """Start it; one that is about to end is waited for, which holds the lock until it has."""
        for _ in range(_ATTEMPTS):
            if not await self._run() or await self._connect():
                return
            await asyncio.sleep(_PAUSE)

    async def _run(self) -> bool:
        """Run the program that starts it; False where this machine has none, from now on."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _PROGRAM, str(self._directory), self._users),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        said, complaint = await process.communicate()
        if process.returncode:
            self.refusal = (said or complaint).decode("utf-8", "replace").strip().splitlines()[-1]
            _log.warning("Pods share the machine's network", extra={"error": self.refusal})
            return False
        return True

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear the answers, until the other side is gone."""
        try:
            while line := await reader.readline():
                answer = self._asked.popleft()
                if not answer.done():
                    answer.set_result(protocol.Lines().feed(line)[0])
        except OSError as error:
            _log.warning("the Pods' network does not answer", extra={"error": str(error)})
        if self._writer is writer:
            self._hang_up()

    def _send(self, message: Obj) -> "asyncio.Future[Obj]":
        """Ask; an error is the answer where nobody answers."""
        answer: asyncio.Future[Obj] = asyncio.get_running_loop().create_future()
        if self._writer is None:
            answer.set_result({"error": _GONE})
        else:
            self._asked.append(answer)
            self._writer.write(protocol.encode(message))
        return answer

    async def _ask(self, message: Obj) -> Obj:
        """Ask, and wait for the answer; who does not answer in time is let go."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._send(message)
        except TimeoutError:
            self._hang_up()
            return {"error": _GONE}

    def _hang_up(self) -> None:
        """Forget what was known of the other side: networks that it made are its own."""
        if self._writer is not None:
            self._writer.close()
        self._writer, self._known, self._spares = None, {}, {}
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result({"error": _GONE})

    def _socket(self, pod: str) -> socket.socket:
        """A socket of the Pods' network; may wait."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_PATIENCE)
            sockets.connect(channel, self._directory, protocol.SOCKET)
            channel.sendall(protocol.encode({"op": "socket", "pod": pod}))
            answer, fds, _, _ = socket.recv_fds(channel, 4096, 1)
        if not fds:
            lines = protocol.Lines().feed(answer)
            raise OSError(lines[0].get("error") if lines else _GONE)
        return socket.socket(fileno=fds[0])
