"""A cluster as tests use it: our own, or one that somebody else has started."""

import fcntl
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from components import API_PORT, NODE_IP
from go_programs import HERE, cache_folder, kubectl, one_at_a_time
from images import Image, archived

from cluster import LocalCluster, load, loaded
from kedge.config import Settings


@dataclass(frozen=True)
class Cluster:
    """A cluster, and its administrator's way in.

    Attributes:
        kubeconfig: The administrator's.
        context: Which of its contexts.
    """

    kubeconfig: Path
    context: str = ""

    @property
    def host(self) -> str:
        """The address at which Pods reach this machine (``KEDGE_TEST_HOST`` names that of another cluster)."""
        return Settings.from_environment().environ.get("KEDGE_TEST_HOST", NODE_IP)

    def kubectl(self, *arguments: str, said: str = "") -> str:
        """What ``kubectl`` answers.

        Args:
            arguments: Its command line.
            said: Its standard input.

        Raises:
            RuntimeError: It failed; has its words.
        """
        done = subprocess.run([*self.command(), *arguments], input=said, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def following(self, *arguments: str) -> Generator[IO[str]]:
        """What ``kubectl`` writes, line by line as it comes; it is ended with the block."""
        with subprocess.Popen([*self.command(), *arguments], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.terminate()

    @property
    def is_here(self) -> bool:
        """Whether its node is this machine."""
        server = self.kubectl("config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}")
        return server == f"https://{NODE_IP}:{API_PORT}"

    def restart_api_server(self) -> None:
        """End the API server and start it again, where it is a process of this machine; returns when it answers."""
        _order("restart", self.kubeconfig.parent)

    def get(self, *arguments: str) -> Any:
        """What ``kubectl get`` answers, as JSON."""
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    def apply(self, *objects: dict[str, Any], namespace: str = "") -> None:
        """Create or change objects."""
        where = ["--namespace", namespace] if namespace else []
        self.kubectl("apply", *where, "--filename", "-", said=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def bring(self, *images: Image | Path) -> None:
        """Have images for the nodes, where tests can bring some: on our own cluster, and on kind's.

        Args:
            images: Ours, or OCI image layouts whose index has whole names.
        """
        for image in images:
            layout = image if isinstance(image, Path) else image.layout()
            mirrored = self.kubeconfig.parent / "images"
            if mirrored.is_dir():
                with one_at_a_time("mirrored"):
                    (mirrored / layout.name).unlink(missing_ok=True)
                    (mirrored / layout.name).symlink_to(layout)
            else:
                self._import(layout)

    def _import(self, layout: Path) -> None:
        context = self.context or self.kubectl("config", "current-context").strip()
        with tempfile.TemporaryDirectory() as scratch:
            if self.is_here:
                if json.loads((layout / "index.json").read_text())["manifests"][0]["digest"] in loaded():
                    return
                load(archived(layout, Path(scratch, "image.tar")))
            elif context.startswith("kind-"):
                archive = archived(layout, Path(scratch, "image.tar"))
                name = context.removeprefix("kind-")
                subprocess.run(["kind", "load", "image-archive", str(archive), "--name", name], check=True)

    @contextmanager
    def namespace(self, labels: Mapping[str, str] | None = None) -> Generator[str]:
        """A namespace of a test's own, with its service account; deleted afterwards.

        Args:
            labels: Such as ``pod-security.kubernetes.io/enforce``.
        """
        name = f"test-{secrets.token_hex(4)}"
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        try:
            self.kubectl("wait", "--namespace", name, "--for=create", "serviceaccount/default", "--timeout=60s")
            yield name
        finally:
            self._delete(name)

    def _delete(self, namespace: str) -> None:
        self.kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")
        # A hub that has ended, or was killed, lets nothing go any more.
        for kind in ("runs.kedge.dev", "pods"):
            with suppress(RuntimeError):  # no such kind, or gone meanwhile
                held = "{range .items[?(@.metadata.finalizers)]}{.kind}/{.metadata.name} {end}"
                if names := self.kubectl("get", kind, "--namespace", namespace, f"--output=jsonpath={held}").split():
                    free = ["--type=merge", '--patch={"metadata": {"finalizers": null}}']
                    self.kubectl("patch", "--namespace", namespace, *names, *free)

    def command(self) -> list[str]:
        """How ``kubectl`` is called."""
        beside = self.kubeconfig.parent / "bin" / "kubectl"
        found = str(beside) if beside.exists() else shutil.which("kubectl") or str(kubectl())
        return [found, "--kubeconfig", str(self.kubeconfig), *(["--context", self.context] if self.context else [])]


@contextmanager
def own_cluster() -> Generator[Cluster]:
    """Our own cluster: the first process that wants it starts it, the last one ends it.

    Who uses it holds a lock that the kernel takes away from a process that dies, so none is left running for nobody.
    """
    local = LocalCluster(cache_folder() / "cluster")
    with (cache_folder() / "cluster-users.lock").open("w") as users:
        with one_at_a_time("cluster-start"):
            if _nobody_else(users):
                _order("down", local.folder, "--purge")
                try:
                    _order("up", local.folder, "--audit")
                except BaseException:
                    _order("down", local.folder)  # the logs stay
                    raise
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield Cluster(local.components.kubeconfig)
        finally:
            with one_at_a_time("cluster-start"):
                if _nobody_else(users):
                    _order("down", local.folder, "--purge")


def _order(command: str, folder: Path, *options: str) -> None:
    # In a process of its own: what it starts must not be this one's children, since another one may end it.
    argv = [sys.executable, str(HERE / "cluster.py"), command, "--dir", str(folder), *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _nobody_else(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(users, fcntl.LOCK_SH)  # the try has given up what was held
        return False
    return True
