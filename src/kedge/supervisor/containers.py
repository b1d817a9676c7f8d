"""One container: from its request to its exit, and what is kept of it."""

import array
import contextlib
import errno
import fcntl
import os
import signal
import socket
import termios
from collections.abc import Callable
from dataclasses import dataclass, field

from kedge.supervisor import cgroups, child, identity, oci, streams, view
from kedge.supervisor.logs import Log
from kedge.supervisor.protocol import Message

# Those that the supervisor treats in its own way; a container's process must not.
_SIGNALS_OF_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_SIGNALS_OF_PYTHON = ("SIGPIPE", "SIGXFSZ")  # ignored by the interpreter; a program expects them as they were


@dataclass(slots=True)
class Container:
    """A container that runs, or that has exited and whose output is still being read.

    Attributes:
        id: ``<pod uid>/<container>/<restart>``.
        spec: As it was asked for; see `protocol`.
        log: Where its output goes.
        streams: Read ends of its output by name; -1 once at its end.
        gate: Lets its process go on once it is recorded, and brings its complaint when it cannot.
        fds: What its process is given; closed here as soon as it has them.
        pid: 0 until it is known.
        start: Start time of the process, for its identity.
        how: ``fork`` or ``exec``.
        started_at: Seconds since 1970.
        told: Whether its start has been told.
        stopping: Whether it was told to end, perhaps before it had a process.
        exit: Its record once it has exited.
        pidfd: Watches a process that is no child of ours (one adopted from a supervisor that died); -1 otherwise.
        cgroup: Where its limits are kept; empty without one.
        used: Seconds of processors and, at its peak, bytes of memory, as its parent was told when it ended; ``None`` where it
            was not: of memory, its largest process alone.
        input: Where its standard input is written: our end of a pipe, or of its terminal; -1 without one.
        viewers: Who hears its output now, besides its log; called with the stream's name and what came.
    """

    id: str
    spec: Message
    log: Log
    streams: dict[str, int] = field(default_factory=dict[str, int])
    gate: socket.socket | None = None
    fds: child.Descriptors | None = None
    pid: int = 0
    start: str = ""
    how: str = "exec"
    started_at: float = 0.0
    told: bool = False
    stopping: bool = False
    exit: Message | None = None
    pidfd: int = -1
    cgroup: str = ""
    used: tuple[float, int] | None = None
    input: int = -1
    viewers: list[Callable[[str, bytes], object]] = field(default_factory=list[Callable[[str, bytes], object]])

    @property
    def settled(self) -> bool:
        """Whether its process is the container's already: in its view, as its user, about to become its program."""
        if self.gate is None:
            return True
        unread = array.array("i", [0])
        try:
            fcntl.ioctl(self.gate.fileno(), termios.TIOCOUTQ, unread)
        except OSError:
            return True  # not asked so on this system, where containers have no view of their own
        return not unread[0]

    def end_input(self) -> None:
        """Let its standard input end, once nobody else holds it open."""
        if self.input >= 0:
            os.close(self.input)
            self.input = -1

    def record(self, boot: str) -> Message:
        """What is written down and told of it."""
        base = {
            "id": self.id,
            "state": "running",
            "pid": self.pid,
            "start": self.start,
            "boot": boot,
            "how": self.how,
            "startedAt": self.started_at,
        }
        return base | self.exit if self.exit else base

    def kill(self, number: int) -> bool:
        """Signal the whole process group, or with SIGKILL all that is in its cgroup; False when nothing of it is left.

        A number that another process has got since is not signalled: what has a number is either the process that was recorded,
        or has ended, or stands for a group of which something is left.
        """
        if not self.pid:
            return False
        if number == signal.SIGKILL and self.cgroup:
            cgroups.kill(self.cgroup)
        found = identity.start_time(self.pid)
        if found and found != self.start:
            return False
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if not found:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)  # between fork and setsid: the group is not there yet
        except PermissionError:
            return False  # only processes that have ended are left (macOS says so)
        return True

    def ask_to_end(self) -> None:
        """Tell its first process alone to end, as a cluster does: it decides what becomes of those that it has started."""
        if self.pid and identity.start_time(self.pid) == self.start:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.spec.get("stop", signal.SIGTERM))

    def complaint(self) -> str:
        """Why its process could not be started; empty when it could."""
        if self.gate is None:
            return ""
        try:
            return self.gate.recv(4096, socket.MSG_DONTWAIT).decode("utf-8", "replace")
        except OSError:
            return ""

    def release(self) -> None:
        """Close the child's ends, which the child has by now."""
        if self.fds:
            self.fds.close()
            self.fds = None

    def close(self) -> None:
        """Close everything."""
        self.release()
        for name, fd in self.streams.items():
            if fd >= 0:
                os.close(fd)
                self.streams[name] = -1
        self.end_input()
        if self.gate:
            self.gate.close()
            self.gate = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self.log.close(identity.now())


def create(container_id: str, spec: Message, namespaces: tuple[int, int]) -> Container:
    """Prepare what a container's process is given: pipes, the gate, the log.

    Args:
        container_id: The container's id.
        spec: Its spec.
        namespaces: The template of its view, or (-1, -1).

    Raises:
        OSError: No more files may be open, or the Pod's network is gone.
    """
    wanted = streams.Wanted(input=bool(spec.get("stdin")), tty=bool(spec.get("tty")), raw="oci" in spec)
    log = Log(spec["log"]["path"], spec["log"]["limit"], spec["log"].get("masks") or [])
    with contextlib.ExitStack() as undo:
        undo.callback(log.close, 0.0)
        network = _network(spec["network"]) if spec.get("network") else -1
        if network >= 0:
            undo.callback(os.close, network)
        ours, fds = streams.create(wanted, namespaces)
        fds.network = network
        undo.pop_all()
    reading = {name: fd for name, fd in ours.ends.items() if name != "stdin"}
    return Container(container_id, spec, log, reading, gate=ours.gate, fds=fds, input=ours.ends.get("stdin", -1))


def _network(wanted: Message) -> int:
    """Open a Pod's network namespace, and no other that may have its number by now."""
    try:
        fd = os.open(wanted["path"], os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"the Pod's network is gone: {error.strerror}") from error
    if os.fstat(fd).st_ino != wanted["inode"]:
        os.close(fd)
        raise OSError(errno.ESTALE, "the Pod's network is gone: another process has its number")
    return fd


def spawn(container: Container) -> int:
    """Start the container's program in a new process; returns its pid."""
    fds = container.fds
    if fds is None:
        raise RuntimeError(f"container {container.id} was started twice: this is a bug, please report it")
    return start(container.spec, fds, view.enter)


def start(spec: Message, fds: child.Descriptors, enter: Callable[[tuple[int, int, int], Message], None]) -> int:
    """Start a program in a new process.

    Args:
        spec: What and how.
        fds: What it is given.
        enter: Moves it into its view, where the spec wants one.

    Returns:
        Its pid.
    """
    pid = -1
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS_OF_OURS)  # what comes at once must not end up in our own handlers
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS_OF_OURS)
    if pid:
        return pid
    try:
        _become(spec, fds, enter)
    except BaseException as error:  # noqa: BLE001  # a forked process must not return into the supervisor's loop
        child.refuse(fds, error)
    finally:
        os._exit(child.START_ERROR)


def _become(spec: Message, fds: child.Descriptors, enter: Callable[[tuple[int, int, int], Message], None]) -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS_OF_OURS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, spec.get("held", ()))  # what is blocked stays so through exec
    child.settle(spec, fds, enter)
    if spec.get("oci"):
        if child.wait_for_go(fds):
            oci.run(spec, fds.gate)
        os._exit(child.START_ERROR)
    argv, env = spec["argv"], spec["env"]
    program = _program(argv[0], env.get("PATH", os.defpath))
    if not child.wait_for_go(fds):
        os._exit(child.START_ERROR)
    if spec.get("followed"):
        oci.execute(spec)
    for name in _SIGNALS_OF_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(program, argv, env)  # noqa: S606  # a list of arguments, no shell
    except OSError as error:
        os.write(fds.gate, f"{program}: {error.strerror}".encode())
    except ValueError as error:  # a zero byte in an argument or a variable, which a Secret may well hold
        os.write(fds.gate, f"{program}: {error}".encode())


def _program(name: str, path: str) -> str:
    """The file of a command, looked for where the container sees it."""
    if "/" in name:
        return name
    for directory in path.split(":"):
        file = os.path.join(directory or ".", name)
        if os.access(file, os.X_OK) and not os.path.isdir(file):
            return file
    raise FileNotFoundError(2, f"{name}: no such program in PATH={path}")


def exit_of(status: int, complaint: str) -> Message:
    """What a wait status means, in a record's words.

    Examples:
        >>> exit_of(3 << 8, "")
        {'code': 3, 'signal': 0, 'reason': 'Error', 'message': ''}
        >>> exit_of(9, "")
        {'code': 137, 'signal': 9, 'reason': 'Error', 'message': ''}
    """
    number = status & 0x7F
    code = 128 + number if number else status >> 8 & 0xFF
    if complaint:
        return {"code": child.START_ERROR, "signal": 0, "reason": "StartError", "message": complaint}
    return {"code": code, "signal": number, "reason": "Error" if code else "Completed", "message": ""}
