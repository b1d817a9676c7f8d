"""A real supervisor in a directory of its own, and a small client that waits with a deadline."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kedge.supervisor import identity

PATIENCE = 60.0


class Client:
    """Speaks to the supervisor of a directory, and starts it."""

    def __init__(self, directory: Path, *prefix: str) -> None:
        self.directory = directory
        self.prefix = prefix
        self.pods = directory.parent / "pods"
        self.pods.mkdir(parents=True, exist_ok=True)
        self.connect()

    def connect(self) -> None:
        """Start the supervisor if it does not run, and greet it."""
        wait_until(self._try)
        self.file = self.socket.makefile("rb")
        self.hello = self.ask("hello", op="hello")
        self.pid = int(self.hello["pid"])

    def _try(self) -> bool:
        subprocess.run([*self.prefix, sys.executable, "-m", "kedge.supervisor", "--dir", str(self.directory)], check=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        fd = os.open(self.directory, os.O_RDONLY)
        try:
            self.socket.connect(f"/proc/self/fd/{fd}/supervisor.sock")
        except OSError:  # the one that was there has just ended
            self.socket.close()
            return False
        finally:
            os.close(fd)
        return True

    def send(self, **message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, event: str, container: str | None = None) -> dict[str, Any]:
        """The next message of a kind."""
        while True:
            message = json.loads(self.file.readline())
            if message["event"] == event and container in {None, message.get("id")}:
                return message

    def ask(self, event: str, **message: Any) -> dict[str, Any]:
        self.send(**message)
        return self.hear(event)

    def start(self, container: str, *argv: str, **spec: Any) -> dict[str, Any]:
        """Start a container; returns once it runs (or has ended, where it could not be started)."""
        self.send(op="start", id=container, spec=self.spec(container, *argv, **spec))
        while True:
            message = json.loads(self.file.readline())
            if message.get("id") == container:
                return message

    def run(self, container: str, *argv: str, **spec: Any) -> dict[str, Any]:
        """Start a container and wait for its end."""
        first = self.start(container, *argv, **spec)
        return first if first["event"] == "exited" else self.hear("exited", container)

    def spec(self, container: str, *argv: str, **spec: Any) -> dict[str, Any]:
        place = self.place(container)
        (place / "tmp").mkdir(parents=True, exist_ok=True)
        if self.prefix:
            for path in (place, place / "tmp"):
                path.chmod(0o777)
        base: dict[str, Any] = {
            "argv": list(argv),
            "env": {"PATH": os.defpath},
            "cwd": "/",
            "log": {"path": str(place / "log"), "limit": 1 << 20, "masks": []},
            "private": not self.hello["view"],
            "tmp": str(place / "tmp"),
            "keep": [str(self.directory.parent), sys.prefix],  # a checkout may lie under /tmp itself
            "mounts": [],
        }
        return base | spec

    def place(self, container: str) -> Path:
        return self.pods / container.replace("/", "-")

    def log(self, container: str) -> list[str]:
        """The lines of a container's log, without their times."""
        return [line.split(" ", 1)[1] for line in (self.place(container) / "log").read_text().splitlines()]

    def output(self, container: str) -> str:
        """What a container has printed."""
        return "".join(line.split(" ", 2)[2] + "\n" for line in self.log(container))

    def kill_supervisor(self) -> None:
        """End the supervisor as the kernel does when memory runs out."""
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not identity.start_time(self.pid))
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def end(self) -> None:
        """Kill what still runs, and wait until the supervisor has ended by itself."""
        try:
            for record in self.ask("list", op="list")["containers"]:
                self.send(op="stop", id=record["id"], grace=0)
        except (OSError, ValueError):
            pass
        self.close()
        wait_until(lambda: not identity.start_time(self.pid))


def wait_until(condition: Any) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)  # noqa: TID251  # a real process is waited for


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Client]:
    """A supervisor, with a client that is connected."""
    client = Client(tmp_path / "node")
    try:
        yield client
    finally:
        client.end()
