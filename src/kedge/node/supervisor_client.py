"""The agent's end of the supervisor's socket; starts a supervisor where none runs."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kedge.errors import KedgeError
from kedge.kube.kinds import Obj
from kedge.measures import Counter
from kedge.node import sockets
from kedge.supervisor import protocol

_log = logging.getLogger(__name__)
_SOCKET = "supervisor.sock"
_ATTEMPTS = 50


class Supervisor(asyncio.Protocol):
    """A connection to the supervisor of a directory.

    Args:
        directory: The node's directory.
        on_event: Called with each ``started`` and ``exited``.
        on_lost: Called when the connection ends without `close`.

    Attributes:
        starts: Containers that it has started, by how.
        warm_interpreters: How many it keeps ready.
        pid: Its process.
    """

    def __init__(self, directory: Path, on_event: Callable[[Obj], None], on_lost: Callable[[], None]) -> None:
        self._directory = directory
        self._on_event = on_event
        self._on_lost = on_lost
        self._lines = protocol.Lines()
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[Obj] | None = None
        self._greeted = False
        self.starts = Counter()
        self.warm_interpreters = 0
        self.pid = 0

    @property
    def connected(self) -> bool:
        """Whether it has answered and is still there."""
        return self._greeted

    async def connect(self) -> Obj:
        """Connect, starting a supervisor if need be.

        Returns:
            Its ``hello``: version, pid, boot id, why it cannot make private views, and the containers that it knows.

        Raises:
            KedgeError: It cannot be started; says where its log is. Or one of another version of Kedge is busy.
        """
        for _ in range(_ATTEMPTS):
            sock = self._try() or await asyncio.to_thread(self._launch)
            if sock is None:
                continue  # one that was about to end held the lock, or let go of the socket just now
            sock.setblocking(False)
            self._lines = protocol.Lines()
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)
            with suppress(ConnectionError):
                hello = await self._ask({"op": "hello"}, "hello")
                if hello["version"] != protocol.VERSION:
                    await self._replace(hello)
                self._greeted = True
                self.pid = hello["pid"]
                self.warm_interpreters = hello.get("warm", 0)
                return hello
        log = self._directory / "supervisor.log"
        raise KedgeError(f"The supervisor of {self._directory} cannot be reached or started. Its log, {log}, may say why.")

    async def _replace(self, hello: Obj) -> None:
        """Have a supervisor of another version of Kedge end: it would pass over what it does not know.

        Raises:
            ConnectionError: It has ended.
            KedgeError: It has containers.
        """
        await self._ask({"op": "quit"}, "refused")
        self.close()
        running = [record["id"] for record in hello["containers"] if record["state"] == "running"]
        raise KedgeError(
            f"The supervisor of {self._directory} (process {hello['pid']}) is of another version of Kedge and still runs "
            f"{len(running)} containers. Start the host with that version until they have ended, or end them: `kedge down`."
        )

    def start(self, container: str, spec: Obj) -> None:
        """Ask for a container; ``started`` and ``exited`` follow as events."""
        self._send({"op": "start", "id": container, "spec": spec})

    def stop(self, container: str, grace: float) -> None:
        """Ask for a container's end: SIGTERM now, SIGKILL after ``grace`` seconds."""
        self._send({"op": "stop", "id": container, "grace": grace})

    def forget(self, container: str) -> None:
        """Have the record of a container that has exited dropped."""
        self._send({"op": "forget", "id": container})

    def warm(self, python: str, launcher: str) -> None:
        """Have an interpreter made ready."""
        self._send({"op": "warm", "python": python, "launcher": launcher})

    async def containers(self) -> list[Obj]:
        """The records of all containers."""
        return (await self._ask({"op": "list"}, "list"))["containers"]

    def quit(self) -> None:
        """Ask it to end, if nothing runs."""
        self._send({"op": "quit"})

    def dial(self) -> socket.socket | None:
        """Another connection, for one program of a container; ``None`` when nobody answers. Waits."""
        return self._try()

    def close(self) -> None:
        """Disconnect; what runs goes on."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _try(self) -> socket.socket | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sockets.connect(sock, self._directory, _SOCKET)
        except OSError:
            sock.close()
            return None
        return sock

    def _launch(self) -> socket.socket | None:
        source = Path(__file__).resolve().parent.parent.parent
        # Without `site`: nothing of it is needed, and it costs time and memory.
        program = (
            f"import sys; sys.path.insert(0, {str(source)!r}); "
            "from kedge.supervisor.__main__ import main; sys.exit(main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, "--dir", str(self._directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            check=False,
        )
        if done.returncode:
            text = done.stderr.decode("utf-8", "replace").strip().splitlines()
            log = self._directory / "supervisor.log"
            raise KedgeError(f"The supervisor cannot be started: {text[-1] if text else f'see {log}'}.")
        return self._try()

    async def _ask(self, message: Obj, event: str) -> Obj:
        self._answer = asyncio.get_running_loop().create_future()
        self._send(message)
        while True:
            answer = await self._answer
            if answer["event"] == event:
                return answer
            self._answer = asyncio.get_running_loop().create_future()

    def _send(self, message: Obj) -> None:
        # Without a connection the message is dropped: on the next one, the agent compares what runs with what should.
        if self._transport is not None:
            self._transport.write(protocol.encode(message))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  # what asyncio gives for a stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        for message in self._lines.feed(data):
            if message["event"] in {"started", "exited"}:
                if message["event"] == "started":
                    self.starts.add(str(message.get("how", "")))
                try:
                    self._on_event(message)
                except Exception:  # noqa: BLE001  # a defect with one Pod must not end the conversation about all others
                    _log.exception("what the supervisor says was not understood", extra={"container": message.get("id")})
            elif message["event"] == "warm":
                self.warm_interpreters = message["count"]
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio calls it so
        """See `asyncio.Protocol`."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the supervisor is gone"))
            self._answer = None
        if self._transport is not None:
            self._transport = None
            if self._greeted:
                self._greeted = False
                self._on_lost()
