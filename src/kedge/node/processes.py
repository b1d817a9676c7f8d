"""Reaches the processes of this node's Pods, through the supervisor: `kedge.server.processes.Processes`.

Each program has a connection to the supervisor of its own, over which its streams are handed over; they are read and written here
without anybody in between. Nothing is kept in memory: what a client does not take stays in the pipe, and the program waits.
"""

import asyncio
import fcntl
import os
import socket
import ssl
import struct
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kedge.errors import ServerError
from kedge.kube.kinds import Obj
from kedge.node.network import PodNetwork
from kedge.server.processes import Ended, Wanted
from kedge.supervisor import protocol

_CHUNK = 1 << 16
_MOST_FILES = 3
# How long a terminal that its program has left is read on: what was written to it arrives a moment later.
_HANG_UP_SECONDS = 2.0
_LOOPBACK = ("127.0.0.1", "::1")


class NodeProcesses:
    """The programs of a node's Pods.

    Args:
        connect: Opens a connection to the supervisor; ``None`` when it is not there. May wait.
        running: Says which attempt of a container runs, by Pod uid and name; ``None`` when none does.
        network: Where Pods listen.
    """

    def __init__(
        self, connect: Callable[[], socket.socket | None], running: Callable[[str, str], int | None], network: PodNetwork
    ) -> None:
        self._connect = connect
        self._running = running
        self._network = network

    async def exec(self, pod: Obj, container: str, argv: Sequence[str], wanted: Wanted) -> "NodeProgram":
        """Run a program in a container; see `Processes`."""
        env = {"TERM": "xterm"} if wanted.tty else {}
        request = {"op": "exec", "argv": list(argv), "env": env, "stdin": wanted.stdin, "tty": wanted.tty}
        return await self._open(pod, container, request, wanted)

    async def attach(self, pod: Obj, container: str, wanted: Wanted) -> "NodeProgram":
        """Follow a container's own program; see `Processes`."""
        spec = next(each for each in _containers(pod) if each["name"] == container)
        wanted = Wanted(wanted.stdin and bool(spec.get("stdin")), wanted.stdout, wanted.stderr, bool(spec.get("tty")))
        program = await self._open(pod, container, {"op": "attach", "stdin": wanted.stdin}, wanted)
        program.follows = True
        return program

    async def reach(
        self, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address; see `Processes`."""
        return await self._network.open(host, port, context)

    async def connect(self, pod: Obj, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a Pod's loopback, which may be this machine's; see `Processes`."""
        faults: list[str] = []
        if self._network.has(uid := pod["metadata"]["uid"]):
            try:
                return await asyncio.open_connection(sock=await self._network.connect(_LOOPBACK[0], port, pod=uid))
            except OSError as error:
                faults.append(f"{_LOOPBACK[0]}: {os.strerror(error.errno) if error.errno else error}")
        for address in _LOOPBACK if not faults else ():
            try:
                return await asyncio.open_connection(address, port)
            except OSError as error:
                faults.append(f"{address}: {os.strerror(error.errno) if error.errno else error}")
        raise ConnectionError(f"failed to connect to localhost:{port}: {', '.join(faults)}")

    async def _open(self, pod: Obj, container: str, request: Obj, wanted: Wanted) -> "NodeProgram":
        uid = pod["metadata"]["uid"]
        attempt = self._running(uid, container)
        if attempt is None:
            raise ServerError(f'unable to upgrade connection: container not found ("{container}")')
        sock = await self._dialled()
        if sock is None:
            raise ServerError("the supervisor, which runs the processes of Pods, does not answer. `kedge status` says more.")
        program = NodeProgram(sock)
        try:
            await program.begin({**request, "id": f"{uid}/{container}/{attempt}", "output": list(wanted.outputs)})
        except BaseException:
            program.close()
            raise
        return program

    async def _dialled(self) -> socket.socket | None:
        """A connection to the supervisor; one that is made while its caller is being cancelled is closed."""
        dialling = asyncio.ensure_future(asyncio.to_thread(self._connect))
        try:
            return await asyncio.shield(dialling)
        except asyncio.CancelledError:
            dialling.add_done_callback(_close)
            raise


def _close(dialled: "asyncio.Future[socket.socket | None]") -> None:
    if not dialled.cancelled() and dialled.exception() is None and (sock := dialled.result()) is not None:
        sock.close()


def _containers(pod: Obj) -> list[Obj]:
    return [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]


class NodeProgram:
    """A program and its streams; see `kedge.server.processes.Program`.

    Args:
        sock: A connection to the supervisor that nothing was asked over.

    Attributes:
        follows: Whether it is a container's own, whose streams the supervisor ends once all was sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.follows = False
        self._sock = sock
        self._lines = protocol.Lines()
        self._files: dict[str, int] = {}
        self._handed: list[int] = []
        self._told: asyncio.Future[Obj] = asyncio.get_running_loop().create_future()
        self._end: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def begin(self, request: Obj) -> None:
        """Ask the supervisor for it; raises `errors.ServerError` when it refuses."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sock.fileno(), self._hear)
        await loop.sock_sendall(self._sock, protocol.encode(request))
        answer = await self._told
        if answer["event"] == "refused":
            raise ServerError(answer["message"])
        self._files = dict(zip(answer["names"], self._handed, strict=True))
        self._handed = []
        for fd in self._files.values():
            os.set_blocking(fd, False)

    def _hear(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, _CHUNK, _MOST_FILES)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._handed += fds
        if not data:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._lost()
            return
        for message in self._lines.feed(data):
            if "id" in message:
                continue  # told to every connection of which it is not known yet what it is for
            if message["event"] == "exited" and not self._end.done():
                fault = message["message"] if message["reason"] in {"StartError", "Behind"} else ""
                self._end.set_result(Ended(message["code"], fault))
            elif not self._told.done():
                self._told.set_result(message)

    def _lost(self) -> None:
        if not self._told.done():
            self._told.set_result({"event": "refused", "message": "the supervisor has ended"})
        if not self._end.done():
            self._end.set_result(Ended(None, "the supervisor has ended, and the program with it"))

    async def read(self, name: str) -> bytes:
        """See `Program`."""
        fd = self._files.get(name, -1)
        deadline = 0.0
        while fd >= 0:
            try:
                return os.read(fd, _CHUNK)
            except BlockingIOError:
                pass
            except OSError:
                return b""  # a terminal that its program has left
            now = asyncio.get_running_loop().time()
            if not self._end.done():
                await _either(self._ready(fd, write=False), self._end)
            elif self.follows:
                await self._ready(fd, write=False)
            elif os.isatty(fd) and (not deadline or now < deadline):
                deadline = deadline or now + _HANG_UP_SECONDS
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ready(fd, write=False), deadline - now)
            else:
                return b""  # what it left running may hold the pipe open, and is not waited for
        return b""

    async def write(self, data: bytes) -> None:
        """See `Program`."""
        fd = self._files.get("stdin", -1)
        rest = memoryview(data)
        while rest and fd >= 0 and self._files.get("stdin", -1) == fd and not self._end.done():
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                await _either(self._ready(fd, write=True), self._end)
            except OSError:
                return  # it reads no more

    def end_input(self) -> None:
        """See `Program`."""
        fd = self._files.pop("stdin", -1)
        if fd >= 0:
            _forget(fd)
            os.close(fd)
        if self.follows:
            with suppress(OSError):
                self._sock.send(protocol.encode({"op": "end-input"}))

    def resize(self, rows: int, columns: int) -> None:
        """See `Program`."""
        for name in ("stdout", "stdin"):
            fd = self._files.get(name, -1)
            if fd >= 0 and os.isatty(fd):
                size = struct.pack("HHHH", min(rows, 0xFFFF), min(columns, 0xFFFF), 0, 0)
                with suppress(OSError):
                    fcntl.ioctl(fd, termios.TIOCSWINSZ, size)
                return

    async def wait(self) -> Ended:
        """See `Program`."""
        return await asyncio.shield(self._end)

    def close(self) -> None:
        """See `Program`."""
        files, self._files = [*self._files.values(), *self._handed], {}
        self._handed = []
        for fd in files:
            _forget(fd)
            os.close(fd)
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
        self._lost()

    async def _ready(self, fd: int, *, write: bool) -> None:
        """Wait until a descriptor can be read or written."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        (loop.add_writer if write else loop.add_reader)(fd, tell)
        try:
            await ready
        finally:
            if fd in self._files.values():  # otherwise it is closed, and its number may be another's
                (loop.remove_writer if write else loop.remove_reader)(fd)


def _forget(fd: int) -> None:
    loop = asyncio.get_running_loop()
    loop.remove_reader(fd)
    loop.remove_writer(fd)


async def _either(first: Any, end: "asyncio.Future[Ended]") -> None:
    """Wait for one of the two."""
    task = asyncio.ensure_future(first)
    try:
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
