"""A real hub's staging API on a real port, a backend that only remembers, and the launcher as the processes that steps are."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette

from kedge.artifacts.staging import Assignment, Batch, PodIdentity, StagedOutputs, routes
from kedge.artifacts.store import ArtifactStore
from kedge.errors import KedgeError, Unauthorized
from kedge.launcher import bundle

POD_UID = "5f1c7d0e-0000-4000-8000-000000000001"
HEADER = "from kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n"


def make_token(uid: str = POD_UID) -> str:
    claims = json.dumps({"kubernetes.io": {"pod": {"uid": uid, "name": "pod"}}}).encode()
    return "head." + base64.urlsafe_b64encode(claims).rstrip(b"=").decode() + ".signature"


class OneToken:
    """Knows the tokens that `make_token` makes for one Pod."""

    def __init__(self) -> None:
        self.known = make_token()

    async def verify(self, token: str) -> PodIdentity:
        if token != self.known:
            raise Unauthorized("the token is not one of this host's.")
        return PodIdentity("default", "pod", POD_UID)


class Remembering:
    """A backend that hands out what a test put there, and keeps what it is told."""

    def __init__(self) -> None:
        self.assignment = Assignment({})
        self.commits: list[StagedOutputs] = []
        self.batches: list[Batch] = []
        self.begins = 0
        self.answers: list[KedgeError] = []

    async def begin(self, pod_uid: str) -> Assignment:
        assert pod_uid == POD_UID
        self.begins += 1
        return self.assignment

    async def commit(self, pod_uid: str, outputs: StagedOutputs) -> None:
        assert pod_uid == POD_UID
        if self.answers:
            raise self.answers.pop(0)
        self.commits.append(outputs)

    async def record(self, pod_uid: str, series: Sequence[Batch]) -> None:
        assert pod_uid == POD_UID
        if self.answers:
            raise self.answers.pop(0)
        self.batches.extend(series)


class Hub:
    """The staging API on a port; may be stopped and started again on the same one."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore(folder / "artifacts", folder / "projects")
        self.backend = Remembering()
        self.verifier = OneToken()
        self._place = _bound(0)  # nobody else gets the port, and who calls while no server runs is refused: it does not listen
        self.port: int = self._place.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = Starlette(routes=routes(self.verifier, self.backend, self.store))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        listening = _bound(self.port)
        listening.listen(128)  # who calls before the server is ready waits
        self._thread = threading.Thread(target=self._server.run, args=([listening],))
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._place.close()

    def uri(self, *parts: str) -> str:
        return "/".join([self.store.root, *parts])


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", port))
    return found


class Launcher:
    """Runs the zipapp as a node would."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder = folder
        self.hub = hub
        self.python = sys.executable
        self.app = folder / "launcher"
        with zipfile.ZipFile(BytesIO(bundle.build())) as archive:
            archive.extractall(self.app)  # our own archive
        self.pyz = folder / "launcher.pyz"
        self.pyz.write_bytes(bundle.build())
        (folder / "code").mkdir()
        (folder / "token").write_text(hub.verifier.known)

    @property
    def message(self) -> dict[str, Any]:
        return json.loads((self.folder / "termination-log").read_text())

    def environment(self, step: dict[str, Any], **more: str) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            "KEDGE_STEP": json.dumps({"protocol": 1, "run": "r", "task": "t", "attempt": 0, **step}),
            "KEDGE_HUB": self.hub.address,
            "KEDGE_CODE": str(self.folder / "code"),
            "KEDGE_TOKEN": str(self.folder / "token"),
            "KEDGE_TERMINATION_LOG": str(self.folder / "termination-log"),
            "KEDGE_STAGING": str(self.folder / "staging"),
            "KEDGE_TMP": str(self.folder / "tmp"),
            "KEDGE_PACKAGES_INSTALLED": "1",
            **more,
        }

    def code(self, source: str, function: str = "step", **more: Any) -> None:
        text = f"# kedge: file=/home/me/pipeline.py line=12\n{HEADER}# kedge: file=/home/me/pipeline.py line=12\n{source}"
        document = {"function": function, "source": text, "filename": "/home/me/pipeline.py", "firstLine": 12, "project": None}
        (self.folder / "code" / "exec.json").write_text(json.dumps({**document, **more}))

    def run(
        self,
        source: str,
        inputs: dict[str, Any] | None = None,
        outputs: tuple[str, ...] = (),
        *,
        environment: dict[str, str] | None = None,
        **step: Any,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a function with parameters only."""
        self.code(source)
        given = step.pop("executorInput", None) or parameters_input(inputs or {}, outputs)
        told = {"code": "exec", "executorInput": given, "begin": False, **step}
        return self.start(told, "run", **(environment or {}))

    def start(self, step: dict[str, Any], command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        argv = [self.python, str(self.app), command]
        env = self.environment(step, **environment)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60, cwd=self.folder)

    def begin(self, step: dict[str, Any], command: str) -> "subprocess.Popen[str]":
        """Start the launcher without waiting for its end."""
        return subprocess.Popen([self.python, str(self.app), command], env=self.environment(step), text=True)

    def sidecar(self, step: dict[str, Any]) -> "subprocess.Popen[str]":
        """Start ``stage-out`` as a node does: with SIGTERM held back, so that it cannot come too early."""
        argv = [self.python, str(self.app), "stage-out"]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # inherited
        try:
            return subprocess.Popen(argv, env=self.environment(step), stderr=subprocess.PIPE, text=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def parameters_input(inputs: dict[str, Any], outputs: tuple[str, ...]) -> dict[str, Any]:
    """An executor input without artifacts."""
    files = {name: {"outputFile": f"/tmp/kedge/outputs/parameters/{name}"} for name in outputs}  # noqa: S108  # as the hub writes it
    return {
        "inputs": {"parameterValues": inputs},
        "outputs": {"parameters": files, "outputFile": "/tmp/kedge/outputs/executor_output.json"},  # noqa: S108
    }


def artifact(uri: str, title: str = "system.Dataset", **more: Any) -> dict[str, Any]:
    """An artifact list as an executor input has it."""
    return {"artifacts": [{"name": uri.rpartition("/")[2], "uri": uri, "type": {"schemaTitle": title}, "metadata": {}, **more}]}


def committed(hub: Hub) -> dict[str, Any]:
    """The only commit, as JSON."""
    assert len(hub.backend.commits) == 1
    return msgspec.to_builtins(hub.backend.commits[0])
