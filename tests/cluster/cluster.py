"""A real one-node Kubernetes for tests: ready in five seconds, on Linux, as root.

    cluster.py prepare            build its programs (minutes, the first time) and images; all are kept in the cache
    cluster.py up --dir DIR       start it, wait until the node is Ready, write DIR/kubeconfig
    cluster.py down --dir DIR     end what `up` started
    cluster.py restart --dir DIR  end its API server alone, and start it again
    cluster.py load FILE.tar      import an image (docker-archive or OCI layout) into the node
    cluster.py image NAME --root DIR [--entrypoint WORD…]     make an image of a folder and import it

No registry is needed: nodes pull from a mirror of ours, which has what tests bring. One machine holds one cluster, since
its addresses are fixed.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from components import (
    API_PORT,
    CONTAINERD_SOCKET,
    CONTAINERD_STATE,
    KUBERNETES,
    NODE_IP,
    NODE_LINK,
    POD_LINK,
    SERVICE_RANGE,
    Components,
)
from go_programs import installed, kubernetes
from images import ALL, PAUSE, archived, folder_layout
from kedge_image import kedge_image
from prerequisites import missing

COREDNS = "v1.14.7"
CTR = ("ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")
API_SECONDS, NODE_SECONDS, ORDERLY_SECONDS = 60, 60, 5


class LocalCluster:
    """The processes of one cluster, and the folder that holds its state.

    Args:
        folder: Made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.components = Components(self.folder)
        self._pids = self.folder / "pids"
        self._token = ""

    def up(self, *, durable: bool = False, audit: bool = False) -> None:
        """Start it and wait until Pods can run.

        Args:
            durable: The store waits for the disk.
            audit: ``audit.log`` in the folder gets a line about each request.
        """
        programs, dns = kubernetes(), installed("coredns", "github.com/coredns/coredns", COREDNS)
        self.down()  # what a start that was stopped half-way has left
        if _answers(CONTAINERD_SOCKET):
            raise RuntimeError(f"a cluster runs on this machine already ({CONTAINERD_SOCKET} answers), and there can be one only")
        binaries = self.folder / "bin"
        binaries.mkdir(parents=True, exist_ok=True)
        for name in (*KUBERNETES, "coredns", "python"):
            (binaries / name).unlink(missing_ok=True)
            (binaries / name).symlink_to({"coredns": dns, "python": Path(sys.executable)}.get(name, programs))
        _make_node_address()
        self._make_credentials()
        self._start_control_plane(durable=durable, audit=audit)
        self._start_node()
        self._wait(self._node_is_ready, NODE_SECONDS, "the node")
        self._wait(lambda: self._get("/api/v1/namespaces/default/serviceaccounts/default") is not None, 30, "the service account")

    def down(self, *, purge: bool = False) -> None:
        """End its processes and its Pods.

        Args:
            purge: Delete what it has stored too.
        """
        if not purge:
            for process in reversed(self._started()):
                _signal(process, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                self._wait(lambda: not self._started(), 10, "the end of the cluster")
        for process in self._started():
            _signal(process, signal.SIGKILL)
        self._wait(lambda: not self._started(), 10, "the end of the cluster")
        self._pids.unlink(missing_ok=True)
        self._sweep()
        if purge:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart_api_server(self) -> None:
        """End the API server, as an upgrade of a control plane does, and start it again."""
        name = "kube-apiserver"
        (process,) = self._started(name)
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            self._wait(lambda: not self._started(name), ORDERLY_SECONDS, "the end of the API server")
        for left in self._started(name):
            _signal(left, signal.SIGKILL)
        self._wait(lambda: not self._started(name), 10, "the end of the API server")
        self._make_credentials()
        self._start(name, self.components.api_server(audit=(self.folder / "audit.log").exists()))
        self._wait(lambda: self._get("/readyz") is not None, API_SECONDS, "the API server")

    def _start(self, name: str, arguments: list[str]) -> None:
        link = self.folder / "bin" / name
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(link) if link.exists() else name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with self._pids.open("a") as pids:
            pids.write(f"{process.pid} {name}\n")

    def _started(self, which: str = "") -> list[int]:
        """The processes that run still, or those of one program; a number that is another process's by now is none."""
        lines = self._pids.read_text().splitlines() if self._pids.exists() else []
        # What is not reaped has no command line.
        return [
            int(pid) for pid, name in map(str.split, lines) if which in {"", name} and name.encode() in _command_line(int(pid))
        ]

    def _make_credentials(self) -> None:
        key = self.folder / "sa.key"
        if not key.exists():
            subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        self._token = hashlib.sha256(key.read_bytes()).hexdigest()
        self.components.write("tokens.csv", f'{self._token},admin,admin,"system:masters"\n')

    def _write_kubeconfig(self) -> None:
        ca = base64.b64encode((self.folder / "certs" / "apiserver.crt").read_bytes()).decode()
        server = {"server": f"https://{NODE_IP}:{API_PORT}", "certificate-authority-data": ca}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        self.components.write("kubeconfig", config)

    def _start_control_plane(self, *, durable: bool, audit: bool) -> None:
        self._start("etcd", self.components.etcd(durable=durable))
        self._start("kube-apiserver", self.components.api_server(audit=audit))
        self._wait(lambda: self._get("/readyz") is not None, API_SECONDS, "the API server")
        self._write_kubeconfig()
        self._start("kube-controller-manager", self.components.controller_manager())
        self._start("kube-scheduler", self.components.scheduler())

    def _start_node(self) -> None:
        CONTAINERD_STATE.mkdir(exist_ok=True)
        self._start("containerd", self.components.containerd())
        self._wait(lambda: _answers(CONTAINERD_SOCKET), 30, "containerd")
        self._start("python", self.components.mirror())
        (self.components.images / "pause").symlink_to(PAUSE.layout())
        self._start("kubelet", self.components.kubelet())
        self._start("kube-proxy", self.components.proxy())
        self._start("coredns", self.components.dns())

    def _wait(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} was not ready within {seconds:.0f} s; see the logs in {self.folder}")
            threading.Event().wait(0.1)

    def _node_is_ready(self) -> bool:
        nodes = json.loads(self._get("/api/v1/nodes") or b'{"items": []}')["items"]
        conditions = [each for node in nodes for each in node["status"].get("conditions", [])]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _get(self, path: str) -> bytes | None:
        context = ssl.create_default_context()
        context.check_hostname = False  # its certificate is made as it starts
        context.verify_mode = ssl.CERT_NONE
        address = f"https://{NODE_IP}:{API_PORT}{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310  # https
                return answer.read()
        except OSError:
            return None

    def _sweep(self) -> None:
        """End the Pods, which outlive the kubelet and containerd, and take their mounts and links away."""
        if _answers(CONTAINERD_SOCKET):  # another cluster's
            return
        for entry in Path("/proc").glob("[0-9]*"):
            command = _command_line(shim := int(entry.name))
            if b"containerd-shim" in command and str(CONTAINERD_SOCKET).encode() in command:
                with contextlib.suppress(OSError):
                    for child in (entry / "task" / entry.name / "children").read_text().split():
                        _signal(int(child), signal.SIGKILL)
                _signal(shim, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith((f"{self.folder}/", f"{CONTAINERD_STATE}/")):
                subprocess.run(["umount", "-l", mount], stderr=subprocess.DEVNULL, check=False)
        # What the containerd of a cluster in another folder has left, which was killed, would be taken for this one's.
        for left in CONTAINERD_STATE.glob("*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        for link in (POD_LINK, NODE_LINK):
            subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL, check=False)


def load(archive: Path) -> None:
    """Import an image into the node.

    Args:
        archive: A docker-archive or an OCI layout.
    """
    subprocess.run([*CTR, "image", "import", "--snapshotter", "overlayfs", str(archive)], check=True, stdout=subprocess.DEVNULL)


def loaded() -> str:
    """What the node has: lines with names and digests."""
    return subprocess.run([*CTR, "image", "list"], check=True, capture_output=True, text=True).stdout


def _make_node_address() -> None:
    # A bridge, because some kernels have no dummy device.
    subprocess.run(["ip", "link", "add", NODE_LINK, "type", "bridge"], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["ip", "address", "replace", f"{NODE_IP}/32", "dev", NODE_LINK], check=True)
    subprocess.run(["ip", "link", "set", NODE_LINK, "up"], check=True)
    # Where a machine has no way out, its own processes reach Services all the same: kube-proxy turns what has a way, any.
    subprocess.run(["ip", "route", "replace", SERVICE_RANGE, "dev", NODE_LINK], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _answers(socket: Path) -> bool:
    if not socket.exists():
        return False
    ctr = ["ctr", "--address", str(socket), "--connect-timeout", "1s", "version"]
    return subprocess.run(ctr, check=False, capture_output=True).returncode == 0


def _prepare() -> int:
    if why := missing():
        sys.stderr.write(f"cluster: {why}\n")
        return 1
    kubernetes()
    installed("coredns", "github.com/coredns/coredns", COREDNS)
    for image in ALL:
        image.layout()
    kedge_image()
    return 0


def _make_image(names: list[str], root: Path, entrypoint: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        layout = folder_layout(names, root, Path(scratch, "layout"), config={"Entrypoint": entrypoint})
        load(archived(layout, Path(scratch, "image.tar")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare")
    up, down = commands.add_parser("up"), commands.add_parser("down")
    for command in (up, down, commands.add_parser("restart")):
        command.add_argument("--dir", type=Path, required=True)
    up.add_argument("--durable", action="store_true", help="the store waits for the disk at every write (for measurements)")
    up.add_argument("--audit", action="store_true", help="log every request to DIR/audit.log")
    down.add_argument("--purge", action="store_true", help="delete DIR too")
    commands.add_parser("load").add_argument("archive", type=Path)
    image = commands.add_parser("image")
    image.add_argument("names", nargs="+")
    image.add_argument("--root", type=Path, required=True)
    image.add_argument("--entrypoint", nargs="*", default=[])
    return parser.parse_args()


def main() -> int:
    """The command line."""
    arguments = _arguments()
    match arguments.command:
        case "prepare":
            return _prepare()
        case "up":
            began = time.monotonic()
            cluster = LocalCluster(arguments.dir)
            cluster.up(durable=arguments.durable, audit=arguments.audit)
            sys.stdout.write(f"ready in {time.monotonic() - began:.1f} s: KUBECONFIG={cluster.components.kubeconfig}\n")
        case "down":
            LocalCluster(arguments.dir).down(purge=arguments.purge)
        case "restart":
            LocalCluster(arguments.dir).restart_api_server()
        case "load":
            load(arguments.archive)
        case _:
            _make_image(arguments.names, arguments.root, arguments.entrypoint)
    return 0


if __name__ == "__main__":
    sys.exit(main())
