"""An unmodified `kubectl` against a server in a process of its own, or against a whole host.

`kubectl` 1.30 or newer is taken from the path; else it is built from its Go module (``build/``), once for each content of that
folder, into the user's cache. Without either the tests are skipped with the reason.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kedge.config import Settings
from kedge.testing.host import RunningHost

HERE = Path(__file__).parent
BUILD = HERE / "build"
OLDEST = (1, 30)
START_SECONDS = 60
VERSION = "k8s.io/component-base/version.gitVersion"


@dataclass
class Kubectl:
    """`kubectl` with a kubeconfig and a HOME of its own."""

    program: str
    home: Path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin a command; both of its outputs are one pipe."""
        env = {
            "PATH": Settings.from_environment().environ.get("PATH", ""),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.home / "kubeconfig"),
            "KUBE_EDITOR": "sed -i s/size:.3/size:\\ 4/",
        }
        return subprocess.Popen(
            [self.program, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Run a command that has to succeed (or, with ``fails``, to fail); returns what it printed."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=110)
        assert (process.returncode != 0) == fails, f"kubectl {' '.join(arguments)}: status {process.returncode}: {output}"
        return output

    def json(self, *arguments: str) -> Any:
        """Run a command and read its JSON."""
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, obj: Any, *arguments: str, verb: str = "apply", fails: bool = False) -> str:
        """Apply (or create, replace…) an object from a file."""
        file = self.home / "object.json"
        file.write_text(json.dumps(obj))
        return self(verb, "-f", str(file), *arguments, fails=fails)


def version_of(program: str) -> tuple[int, int]:
    output = subprocess.run([program, "version", "--client"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v(\d+)\.(\d+)\.", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def build() -> str:
    """Build `kubectl`, or take the one that was built from the same sources."""
    digest = hashlib.sha256(b"".join((BUILD / name).read_bytes() for name in ("main.go", "go.mod", "go.sum"))).hexdigest()[:16]
    program = Settings.from_environment().cache / "tests" / f"kubectl-{digest}"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip("kubectl is missing or older than 1.30, and there is no Go to build it with")
        wanted = re.search(r"k8s\.io/kubectl v0\.(\S+)", (BUILD / "go.mod").read_text())
        assert wanted is not None
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_name(f"{program.name}.{os.getpid()}")
        flags = f"-s -w -X {VERSION}=v1.{wanted[1]}"
        command = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags, "-o", str(part), "."]
        subprocess.run(command, cwd=BUILD, check=True)
        part.rename(program)
    return str(program)


@pytest.fixture(scope="session")
def kubectl_program() -> str:
    found = shutil.which("kubectl")
    if found is not None and version_of(found) >= OLDEST:
        return found
    return build()


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
def cluster(kubectl_program: str, kedge_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A `kubectl` with the kubeconfig of a whole host."""
    home = tmp_path_factory.mktemp("cluster")
    shutil.copy(kedge_host.host.kubeconfig, home / "kubeconfig")
    return Kubectl(kubectl_program, home)


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
