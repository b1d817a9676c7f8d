"""The supervisor's socket: accepts agents, reads their requests, sends them events."""

import fcntl
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from kedge.supervisor import protocol
from kedge.supervisor.keeper import Keeper
from kedge.supervisor.loop import Loop
from kedge.supervisor.protocol import Message

# An agent that has just started the supervisor has this long to connect.
_FIRST_CONNECTION_SECONDS = 20.0
_LIMITS = "limits"  # what becomes of limits here, for people who ask
_SOCKET = "supervisor.sock"  # relative: an absolute path may be longer than a socket's address can be
# How long a supervisor that holds the lock without answering is waited for: it ends, or begins.
_LOCK_ATTEMPTS, _LOCK_PAUSE = 500, 0.01


class Connection:
    """One agent, or somebody who follows one program of a container.

    Attributes:
        on_end: Called when it has ended; with it, this is no agent's.
        on_input_end: Called when whoever follows writes no more.
    """

    def __init__(self, sock: socket.socket, loop: Loop, hear: "Callable[[Connection], None]") -> None:
        self.sock = sock
        self._loop = loop
        self._pending = b""
        self._writing = False
        self._read = lambda: hear(self)
        loop.watch(sock.fileno(), self._read)
        self.lines = protocol.Lines()
        self.on_end: Callable[[], object] | None = None
        self.on_input_end: Callable[[], object] = _nothing

    def send(self, message: Message) -> None:
        """Send now what the socket takes, and the rest when it can."""
        behind = bool(self._pending)
        self._pending += protocol.encode(message)
        if not behind:
            self.flush()

    def hand(self, message: Message, fds: list[int]) -> None:
        """Send a message, first of its kind here, with open files, which are closed on this side."""
        try:
            socket.send_fds(self.sock, [protocol.encode(message)], fds)
        except OSError:
            pass  # it is gone; reading will say so
        finally:
            for fd in fds:
                os.close(fd)

    def flush(self) -> None:
        """Send what is pending."""
        behind = self._writing
        try:
            self._pending = self._pending[self.sock.send(self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""  # it is gone; reading will say so
        self._writing = bool(self._pending)
        if self._writing != behind:
            self._loop.watch(self.sock.fileno(), self._read, write=self.flush if self._writing else None)


class Server:
    """The supervisor.

    Args:
        directory: Where its socket, records and lock are; the process's directory.
    """

    def __init__(self, directory: str) -> None:
        self._loop = Loop()
        self._connections: dict[int, Connection] = {}
        self._keeper = Keeper(directory, self._loop, self._broadcast)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Until somebody has spoken, whoever has started this is still to come: a second starter, who looks whether
        # somebody listens and leaves, must not end it before.
        self._awaited = True

    def run(self, ready: int) -> None:
        """Serve until nobody is connected and nothing runs.

        Args:
            ready: A descriptor to write one byte to, and close, once the socket is there.
        """
        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(
            signal.SIGTERM, _ignore
        )  # the hub's end, or a terminal's, must not end it: it goes when it has nothing to do
        signal.signal(signal.SIGINT, _ignore)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # A shell has what it runs in the background ignore this one, and containers would inherit it.
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        self._keeper.adopt()
        with open(_LIMITS, "w", encoding="utf-8") as file:
            file.write(self._keeper.cgroups.describe())
        self._listen()
        self._loop.watch(woken.fileno(), lambda: self._woken(woken))
        self._loop.after(_FIRST_CONNECTION_SECONDS, self._give_up_waiting)
        os.write(ready, b"+")
        os.close(ready)
        self._loop.run()
        self._keeper.cgroups.close()
        os.unlink(_SOCKET)

    def _listen(self) -> None:
        if os.path.exists(_SOCKET):
            os.unlink(_SOCKET)
        self._listener.bind(_SOCKET)
        os.chmod(_SOCKET, 0o600)
        self._listener.listen(16)
        self._listener.setblocking(False)
        self._loop.watch(self._listener.fileno(), self._accept)

    def _woken(self, woken: socket.socket) -> None:
        try:
            woken.recv(4096)
        except BlockingIOError:
            return
        self._keeper.reap()
        self._end_if_idle()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        self._connections[sock.fileno()] = Connection(sock, self._loop, self._hear)

    def _hear(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(1 << 16)  # as much as is not mapped anew for each call
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(connection)
            return
        try:
            messages = connection.lines.feed(data)
        except ValueError as error:  # where the next message begins is not known any more
            connection.send({"event": "refused", "message": f"not a request: {error}"})
            self._hang_up(connection)
            return
        for message in messages:
            self._awaited = False
            self._answer(connection, message)

    def _answer(self, connection: Connection, message: Message) -> None:
        """Do what is asked; what goes wrong with one request must not end the conversation about all others."""
        try:
            self._handle(connection, message)
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            connection.send({"event": "refused", "message": f"request {message!r:.200} failed: {error!r}"})

    def _hang_up(self, connection: Connection) -> None:
        self._connections.pop(connection.sock.fileno(), None)
        self._loop.forget(connection.sock.fileno())
        connection.sock.close()
        if connection.on_end is not None:
            connection.on_end()
        self._end_if_idle()

    def _give_up_waiting(self) -> None:
        self._awaited = False
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if not self._awaited and not self._connections and not self._keeper.busy:
            self._accept()  # somebody may be waiting to be let in
            self._loop.running = bool(self._connections)

    def _handle(self, connection: Connection, message: Message) -> None:  # noqa: C901  # one line for each word of the protocol
        keeper, op = self._keeper, message["op"]
        if op == "start":
            keeper.start(message["id"], message["spec"])
        elif op == "stop":
            keeper.stop(message["id"], message["grace"])
        elif op == "signal":
            keeper.signal(message["id"], message["signal"])
        elif op in {"exec", "attach"}:
            connection.on_end = _nothing
            (keeper.exec if op == "exec" else keeper.attach)(message, connection)
        elif op == "end-input":
            connection.on_input_end()
        elif op == "forget":
            keeper.forget(message["id"])
        elif op == "warm":
            keeper.warm(message["python"], message["launcher"])
        elif op == "cool":
            keeper.cool()
        elif op == "list":
            connection.send({"event": "list", "containers": keeper.all()})
        elif op == "hello":
            connection.send(self._hello())
        elif op == "quit":
            self._quit(connection)
        else:
            raise ValueError(f"unknown op {op!r}")

    def _hello(self) -> Message:
        return {
            "event": "hello",
            "version": protocol.VERSION,
            "pid": os.getpid(),
            "boot": self._keeper.boot,
            "view": self._keeper.templates.probe(),
            "users": self._keeper.templates.users,
            "cgroups": self._keeper.cgroups.refusal,
            "containers": self._keeper.all(),
            "warm": self._keeper.warm_interpreters,
        }

    def _quit(self, connection: Connection) -> None:
        if self._keeper.busy:
            connection.send({"event": "refused", "message": "containers are running"})
        else:
            self._loop.running = False

    def _broadcast(self, message: Message) -> None:
        for connection in list(self._connections.values()):
            if connection.on_end is None:
                connection.send(message)
        if message["event"] == "exited":
            self._end_if_idle()  # it may have been the last thing to do


def _nothing() -> None:
    """For a connection whose program has not started yet."""


def _ignore(number: int, frame: object) -> None:
    """Do nothing but wake the loop."""


def _is_first(lock: int) -> bool:
    """Take the lock; False when another supervisor holds it and answers. One that is just ending is waited for."""
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with socket.socket(socket.AF_UNIX) as other:
                if other.connect_ex(_SOCKET) == 0:
                    return False
            time.sleep(_LOCK_PAUSE)  # noqa: TID251  # standard library only: there is no Clock to be handed
        else:
            return True
    return False


def _become_subreaper() -> None:
    """Have orphans of containers become this process's children rather than init's."""
    if sys.platform.startswith("linux"):
        import ctypes  # noqa: PLC0415  # only where there is something to call

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def serve(directory: str) -> int:
    """Start the supervisor of a directory in a process and session of its own; returns once it listens.

    Where one runs already nothing is started, and that is a success.

    Args:
        directory: Made, for its owner alone, when it is not there.

    Returns:
        An exit code: 0 when a supervisor listens.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(ready, 1) == b"+" else 1
    os.close(ready)
    os.setsid()
    os.umask(0o077)
    os.chdir(directory)
    lock = os.open("supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _is_first(lock):
        os.write(tell, b"+")
        return 0
    null, log = os.open(os.devnull, os.O_RDWR), os.open("supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, fd)
    os.close(null)
    os.close(log)
    _become_subreaper()
    Server(os.getcwd()).run(tell)
    return 0
