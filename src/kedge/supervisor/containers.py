"""One container: from its request to its exit, and what is kept of it."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass, field

from kedge.supervisor import cgroups, child, identity, view
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
            for fd in (self.fds.out, self.fds.err, self.fds.gate):
                os.close(fd)
            self.fds = None

    def close(self) -> None:
        """Close everything."""
        self.release()
        for name, fd in self.streams.items():
            if fd >= 0:
                os.close(fd)
                self.streams[name] = -1
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
        OSError: No more files may be open.
    """
    log = Log(spec["log"]["path"], spec["log"]["limit"], spec["log"].get("masks") or [])
    with contextlib.ExitStack() as undo:
        undo.callback(log.close, 0.0)
        ends = [fd for _ in range(2) for fd in _pipe(undo)]
        ours, theirs = socket.socketpair()
        undo.pop_all()
    out_read, out_write, err_read, err_write = ends
    fds = child.Descriptors(out_write, err_write, theirs.detach(), namespaces)
    return Container(container_id, spec, log, {"stdout": out_read, "stderr": err_read}, gate=ours, fds=fds)


def _pipe(undo: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose reading never waits, closed again when what comes after it fails."""
    read, write = os.pipe()
    undo.callback(os.close, read)
    undo.callback(os.close, write)
    os.set_blocking(read, False)
    return read, write


def spawn(container: Container) -> int:
    """Start the container's program in a new process; returns its pid."""
    fds = container.fds
    if fds is None:
        raise RuntimeError(f"container {container.id} was started twice: this is a bug, please report it")
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
        _become(container.spec, fds)
    except BaseException as error:  # noqa: BLE001  # a forked process must not return into the supervisor's loop
        child.refuse(fds, error)
    finally:
        os._exit(child.START_ERROR)


def _become(spec: Message, fds: child.Descriptors) -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS_OF_OURS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, spec.get("held", ()))  # what is blocked stays so through exec
    child.settle(spec, fds, view.enter)
    argv, env = spec["argv"], spec["env"]
    program = _program(argv[0], env.get("PATH", os.defpath))
    if not child.wait_for_go(fds):
        os._exit(child.START_ERROR)
    for name in _SIGNALS_OF_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(program, argv, env)  # noqa: S606  # a list of arguments, no shell
    except OSError as error:
        os.write(fds.gate, f"{program}: {error.strerror}".encode())


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
