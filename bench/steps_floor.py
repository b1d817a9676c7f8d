"""The cost of a container without a hub: supervisor alone, from the request to the word that it has ended.

Floors, in the same run: fork and wait of the same interpreter; the same interpreter started to do nothing.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 200
COLD_ROUNDS = 40
# What a launcher is at least: a module with a `main`.
_NOOP = "def main(argv):\n    return 0\n"


class Supervisor:
    """A supervisor of its own, and a connection to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        subprocess.run([sys.executable, "-m", "kedge.supervisor", "--dir", str(directory / "node")], check=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(directory / "node" / "supervisor.sock"))
        self.file = self.socket.makefile("rb")
        self.send(op="hello")
        self.hello = json.loads(self.file.readline())
        for name in ("tmp", "code", "token"):
            (directory / name).mkdir()
        (directory / "message").touch()
        package = directory / "launcher" / "kedge" / "launcher"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(_NOOP)

    def send(self, **message: Any) -> None:
        """Send one request."""
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def run(self, container: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Start a container, wait until it has ended."""
        self.send(op="start", id=container, spec=spec)
        while (message := json.loads(self.file.readline()))["event"] != "exited":
            pass
        self.send(op="forget", id=container)
        return message

    def spec(self, *argv: str, **more: Any) -> dict[str, Any]:
        """What the node asks for to run a Python step."""
        place, source = self.directory, {name: str(self.directory / name) for name in ("launcher", "code", "token", "message")}
        mounts = [
            {"source": source["launcher"], "target": "/kedge/launcher", "readonly": True},
            {"source": source["code"], "target": "/kedge/code", "readonly": True},
            {"source": source["token"], "target": "/var/run/secrets/kedge.dev", "readonly": True},
            {"source": source["message"], "target": "/dev/termination-log", "readonly": False},
        ]
        log = {"path": str(place / "log"), "limit": 1 << 20, "masks": ["a secret that is never printed"]}
        base = {"argv": list(argv), "env": {"PATH": os.defpath}, "cwd": "/", "private": True, "tmp": str(place / "tmp")}
        return {**base, "keep": [str(place)], "mounts": mounts, "log": log, **more}

    def processor_time(self) -> float:
        """Seconds of processor time of the supervisor so far."""
        fields = Path(f"/proc/{self.hello['pid']}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    with tempfile.TemporaryDirectory() as place:
        supervisor = Supervisor(Path(place))
        fork, bare = median(ROUNDS, _fork_and_wait), median(COLD_ROUNDS, _interpreter)
        warm = {"python": sys.executable, "launcher": str(Path(place) / "launcher")}
        rows: list[dict[str, Any]] = []
        for name, private in (("with its own view", True), ("without", False)):
            spec = supervisor.spec("unused", warm=warm, private=private)
            supervisor.run(f"first/{private}/0", spec)
            before = supervisor.processor_time()
            took = median(ROUNDS, lambda spec=spec: _checked(supervisor.run(f"{time.monotonic_ns()}/main/0", spec), "fork"))
            used = (supervisor.processor_time() - before) / ROUNDS * 1e3
            limit = 2.0 if private else None
            rows.append({"name": f"forked container, {name}, p50", "value": took, "unit": "ms", "limit": limit, "floor": fork})
            rows.append(
                {"name": "... processor time of the supervisor", "value": used, "unit": "ms", "limit": None, "floor": None}
            )
        spec = supervisor.spec(sys.executable, "-I", "-c", "pass")
        took = median(COLD_ROUNDS, lambda: _checked(supervisor.run(f"{time.monotonic_ns()}/main/0", spec), "exec"))
        rows.append({"name": "started interpreter, p50", "value": took, "unit": "ms", "limit": bare + 10, "floor": bare})
        supervisor.send(op="quit")
        supervisor.file.read()
    return rows


def median(rounds: int, call: Callable[[], object]) -> float:
    """Milliseconds that a call takes, median."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return statistics.median(timed() for _ in range(rounds)) * 1e3


def _checked(ended: dict[str, Any], how: str) -> None:
    assert (ended["code"], ended["how"]) == (0, how), ended


def _fork_and_wait() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _interpreter() -> None:
    subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
