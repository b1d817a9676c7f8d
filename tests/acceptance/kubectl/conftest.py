"""An unmodified `kubectl` against a server in a process of its own, or against a whole host.

`kubectl` 1.30 or newer is taken from the path; else it is built from Kubernetes' Go modules, once, into the user's cache. Without
either the tests are skipped with the reason.
"""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import go_programs
import pytest

from kedge.config import Settings
from kedge.testing.host import RunningHost

HERE = Path(__file__).parent
OLDEST = (1, 30)
START_SECONDS = 60
# What kubectl itself logs when an API server sends an empty message before kubectl is ready for it.
EARLY = re.compile(r"^E\d{4} .* Unknown stream id \d+, discarding message\n", re.MULTILINE)


@dataclass
class Kubectl:
    """`kubectl` with a kubeconfig and a HOME of its own."""

    program: str
    home: Path

    def start(
        self, *arguments: str, stdin: int | IO[str] = subprocess.DEVNULL, stderr: int = subprocess.STDOUT
    ) -> "subprocess.Popen[str]":
        """Begin a command; both of its outputs are one pipe unless its errors go elsewhere."""
        env = {
            "PATH": Settings.from_environment().environ.get("PATH", ""),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "KUBE_EDITOR": "sed -i s/size:.3/size:\\ 4/",
        }
        return subprocess.Popen(
            [self.program, *arguments],
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Run a command that has to succeed (or, with ``fails``, to fail); returns what it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=110)
        assert (process.returncode != 0) == fails, f"kubectl {' '.join(arguments)}: status {process.returncode}: {output}"
        return EARLY.sub("", output)

    def json(self, *arguments: str) -> Any:
        """Run a command that has to succeed, and read its JSON; what it warns of stands beside it."""
        process = self.start(*arguments, "-o", "json", stderr=subprocess.PIPE)
        output, warnings = process.communicate(timeout=110)
        assert process.returncode == 0, f"kubectl {' '.join(arguments)}: status {process.returncode}: {warnings}"
        return json.loads(output)

    def apply(self, obj: Any, *arguments: str, verb: str = "apply", fails: bool = False) -> str:
        """Apply (or create, replace…) an object from a file."""
        file = self.home / "object.json"
        file.write_text(json.dumps(obj))
        return self(verb, "-f", str(file), *arguments, fails=fails)


def version_of(program: str) -> tuple[int, int]:
    output = subprocess.run([program, "version", "--client"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v(\d+)\.(\d+)\.", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def program() -> str:
    """The `kubectl` of the path, if it is new enough; else the one that is built."""
    found = shutil.which("kubectl")
    if found is not None and version_of(found) >= OLDEST:
        return found
    try:
        return str(go_programs.kubectl())
    except go_programs.NoGo as why:
        go_programs.do_without(go_programs.NoGo(f"kubectl is missing or older than {'.'.join(map(str, OLDEST))}; {why}"))


def kubectl_of(kubeconfig: str | Path, home: Path) -> Kubectl:
    """A `kubectl` with a copy of a kubeconfig in a home of its own."""
    shutil.copy(kubeconfig, home / "kubeconfig")
    return Kubectl(program(), home)


@pytest.fixture(scope="session")
def kubectl_program() -> str:
    return program()


@pytest.fixture(scope="module")
def kubectl(kubectl_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A `kubectl` whose kubeconfig points to a fresh server."""
    home = tmp_path_factory.mktemp("kubectl")
    with subprocess.Popen([sys.executable, str(HERE / "serve.py"), str(home)]) as server:
        try:
            host = wait_for(home / "host.json", server)
            (home / "kubeconfig").write_text(json.dumps(kubeconfig(host)))
            yield Kubectl(kubectl_program, home)
        finally:
            server.terminate()
            assert server.wait(60) == 0


@pytest.fixture(scope="module")
def cluster(kedge_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A `kubectl` with the kubeconfig of a whole host."""
    return kubectl_of(kedge_host.host.kubeconfig, tmp_path_factory.mktemp("cluster"))


def wait_for(file: Path, server: "subprocess.Popen[bytes]") -> Any:
    """What the server says of itself once it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while not file.exists():
        assert server.poll() is None, "the server ended while it was starting"
        assert time.monotonic() < deadline, f"the server was not ready within {START_SECONDS} s"
        threading.Event().wait(0.02)
    return json.loads(file.read_text())


def kubeconfig(host: Any) -> Any:
    cluster = {"server": f"https://127.0.0.1:{host['https']}", "certificate-authority": host["ca"]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kedge", "cluster": cluster}],
        "users": [{"name": "owner", "user": {"token": host["token"]}}],
        "contexts": [{"name": "kedge", "context": {"cluster": "kedge", "user": "owner", "namespace": "default"}}],
        "current-context": "kedge",
    }
