"""The host's process seen from outside: find it, start it, stop it.

A running host describes itself in ``host.json`` of its data directory: addresses, token, process. This module reads that file
and starts and ends the process; what the process does is `kedge.app`. Standard library only: every command comes through here.
"""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kedge.config import Settings
from kedge.errors import StateError
from kedge.home import Host
from kedge.supervisor import protocol

_LOG_TAIL = 30


def read(home: Path) -> Host | None:
    """Read what the last host of a data directory wrote about itself, whether or not it still runs.

    Raises:
        StateError: The file is there and cannot be understood.
    """
    path = home / "host.json"
    try:
        fields = json.loads(path.read_text())
        return Host(
            http=str(fields["http"]).rstrip("/"),
            https=str(fields["https"]).rstrip("/"),
            token=str(fields["token"]),
            kubeconfig=str(fields["kubeconfig"]),
            data_dir=str(fields.get("dataDir") or home),
            pid=int(fields["pid"]),
            version=str(fields.get("version", "")),
            started_at=str(fields.get("startedAt", "")),
            build=str(fields.get("build", "")),
            outside=str(fields.get("outside", "")),
        )
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise StateError(f"{home}: is no directory. Set KEDGE_HOME to a directory of your own.") from error
    except PermissionError as error:
        raise StateError(f"{path}: belongs to another user. Set KEDGE_HOME to a directory of your own.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path}: cannot be read ({error!r}). Delete the file and run `kedge up` again.") from error


def make(home: Path) -> Path:
    """Make the data directory, closed to others, where it is not there yet.

    Args:
        home: Its path.

    Returns:
        The path.

    Raises:
        StateError: It cannot be made or written to.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "hub.log").touch(mode=0o600)  # the first file that a host writes
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StateError(
            f"{home}: cannot be used as data directory: {why}. Set KEDGE_HOME to one that you may write to."
        ) from error
    return home


def find(settings: Settings) -> Host | None:
    """Return the host that runs in the data directory, or ``None``.

    A host that was killed leaves its file behind, and its process number may be somebody else's by now: it counts as running
    when the process is there and its address takes connections.
    """
    host = read(settings.home)
    return host if host and _alive(host.pid) and _listening(host.http) else None


def start(
    settings: Settings,
    *,
    http_port: int | None = None,
    https_port: int | None = None,
    options: Sequence[str] = (),
    timeout: float | None = None,
) -> Host:
    """Start a host that outlives this process, and wait until it is ready.

    Args:
        settings: Says where the data directory is; the environment passes through.
        http_port: Port for REST and pages; ``None`` for the one this data directory always had, or any.
        https_port: Port for the Kubernetes API, likewise.
        options: Further ones of ``kedge up``.
        timeout: Seconds to wait; by default 30 and one more for each 16 MiB of objects, and for the hub of a cluster, which may
            have to fetch an image, 330.

    Returns:
        The host. When another process started one in the same directory at the same moment, that one.

    Raises:
        StateError: It did not start; the message carries what it said.
    """
    log_path = make(settings.home) / "hub.log"
    argv = [sys.executable, "-P", "-m", "kedge.cli.main", "up"]
    argv += [f"--http-port={http_port}"] if http_port is not None else []
    argv += [f"--https-port={https_port}"] if https_port is not None else []
    argv += options
    with log_path.open("ab") as log:
        log_path.chmod(0o600)
        offset = log.tell()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=settings.home,
            env=_environment(settings),
            start_new_session=True,
        )
    try:
        return _await_ready(settings, process, log=(log_path, offset), timeout=timeout or _patience(settings))
    except KeyboardInterrupt:
        # Who does not wait for it would not know that it runs.
        process.terminate()
        process.wait()
        raise


def _patience(settings: Settings) -> float:
    if settings.context:
        return 330.0
    objects = settings.home / "objects.db"
    return 30.0 + (objects.stat().st_size / (16 << 20) if objects.exists() else 0.0)


def _environment(settings: Settings) -> dict[str, str]:
    """What a host is started with: what was read, and what is kept apart from it, since it may hold a password."""
    database = {"KEDGE_DATABASE": settings.database} if settings.database else {}
    return {**settings.environ, **database, "KEDGE_HOME": str(settings.root), "KEDGE_CONTEXT": settings.context}


def _await_ready(settings: Settings, process: "subprocess.Popen[bytes]", *, log: tuple[Path, int], timeout: float) -> Host:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            host = read(settings.home)
            if host and host.pid == process.pid and ready(host):
                process.returncode = 0  # it is meant to outlive this object: no warning that it still runs
                return host
        else:
            while time.monotonic() < deadline and _held_by_another(settings.home, process.pid):
                if other := find(settings):
                    return other
                select.select([], [], [], 0.02)
            raise StateError(_tail(*log) or f"The host ended at once with exit status {process.returncode}. See {log[0]}.")
    process.terminate()
    process.wait()
    raise StateError(f"The host was not ready within {timeout:g} s and was stopped. The end of {log[0]}:\n{_tail(*log)}")


def _held_by_another(home: Path, pid: int) -> bool:
    """Whether another process that lives has the data directory; it may be about to be ready."""
    try:
        holder = int((home / "lock").read_text() or 0)
    except (OSError, ValueError):
        return False
    return holder not in {0, pid} and _alive(holder)


def _tail(path: Path, offset: int) -> str:
    """The last lines that a log got after ``offset``, without the command's own prefix."""
    with path.open("rb") as log:
        log.seek(offset)
        lines = log.read()[-16_384:].decode(errors="replace").strip().splitlines()[-_LOG_TAIL:]
    return "\n".join(line.removeprefix("kedge: ") for line in lines)


def ready(host: Host, *, timeout: float = 2.0) -> bool:
    """Whether ``/readyz`` answers 200."""
    address = urlsplit(host.http)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=timeout)
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {host.token}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stop(host: Host, *, timeout: float = 30.0) -> None:
    """Ask the hub to stop and wait until it is gone; its steps go on under the supervisor.

    Args:
        host: The host.
        timeout: Seconds before it is killed. That loses nothing: it is as safe as any crash.
    """
    for number, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
        try:
            os.kill(host.pid, number)
        except ProcessLookupError:
            return
        if wait_for_exit(host.pid, seconds):
            return
    raise StateError(
        f"Process {host.pid} of {host.data_dir} cannot be stopped. It may be stuck in the kernel: `ps -o stat {host.pid}`."
    )


def supervised(home: Path) -> bool:
    """Whether the supervisor of a data directory runs, and with it perhaps steps; it outlives the hub."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5.0)
        try:
            _connect(connection, str(home / "node" / "supervisor.sock"))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        return True


def stop_supervisor(home: Path, *, grace: float = 30.0) -> bool:
    """End the supervisor of a data directory and every step it runs.

    The records of those steps are dropped, so that the next host counts them as lost, which is the infrastructure's failure and
    not their own: they are run again.

    Args:
        home: The data directory.
        grace: Seconds between SIGTERM and SIGKILL.

    Returns:
        Whether there was one.

    Raises:
        StateError: A step did not end in time.
    """
    path = home / "node" / "supervisor.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(grace + 10)
        try:
            _connect(connection, str(path))
            return _dismiss(connection, grace)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        except TimeoutError as error:
            raise StateError(
                f"{path}: steps still run {grace + 10:g} s after they were told to end. Look at them with `ps`."
            ) from error


def _dismiss(connection: socket.socket, grace: float) -> bool:
    """Speak to the supervisor: stop what runs, drop the records, wait until it is gone."""

    def ask(**request: object) -> None:
        connection.sendall(protocol.encode(request))

    lines = protocol.Lines()
    ask(op="hello")
    left: set[str] = set()
    pid = 0
    while True:
        events = lines.feed(_received(connection))
        if not events:
            if pid:
                wait_for_exit(pid, 10)
            return True
        for message in events:
            if message["event"] == "hello":
                pid = int(message["pid"])
            elif message["event"] == "exited" and message["id"] in left:
                left.discard(message["id"])
                ask(op="forget", id=message["id"])
            for container in _running(message):
                left.add(container)
                ask(op="stop", id=container, grace=grace)
        # Refused while a container is about to start: then its start, or its end, is heard of next.
        if pid and not left and any(message["event"] != "refused" for message in events):
            ask(op="quit")


def _received(connection: socket.socket) -> bytes:
    """At least one whole message, or nothing when the supervisor is gone."""
    data = b""
    while not data.endswith(b"\n"):
        try:
            piece = connection.recv(1 << 18)
        except ConnectionResetError:
            piece = b""
        if not piece:
            return b""
        data += piece
    return data


def _running(message: protocol.Message) -> list[str]:
    """The containers that run, as a message says: those of before, or one that the hub has asked for in its last moment."""
    if message["event"] == "started":
        return [message["id"]]
    return [record["id"] for record in message.get("containers", ()) if record["state"] == "running"]


def _connect(connection: socket.socket, path: str) -> None:
    """Connect to a socket whose path may be longer than the 107 bytes that the kernel takes."""
    if len(os.fsencode(path)) < 104:
        connection.connect(path)
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY)  # noqa: PTH120  # stays bytes-exact
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119
    finally:
        os.close(folder)


def wait_for_exit(pid: int, timeout: float) -> bool:
    """Wait until a process that need not be a child has ended; ``False`` when ``timeout`` seconds went by first."""
    deadline = time.monotonic() + timeout
    while _alive(pid):
        if time.monotonic() >= deadline:
            return False
        select.select([], [], [], 0.01)
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a zombie has ended: its parent has not looked yet
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # one line, read in a loop
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return True


def _listening(address: str) -> bool:
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout=2.0).close()
    except OSError:
        return False
    return True
