"""The embedded API server beside kube-apiserver with etcd, on the same machine and disk, asked by the same program (`load/`).

Both wait for the disk at every write: ``synchronous=FULL`` here, etcd with its fsync there. Both are asked by turns, twice, so
that a machine that is busy for a while is busy for both. It needs Go, and builds Kubernetes the first time (minutes).

Figures are throughputs and times as a multiple of kube-apiserver's: what the machine does meanwhile is in both. The floor is a
server in this language that does nothing but answer over TLS, after an fsync where something is written (`bare_server`).
"""

import base64
import json
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from processes import hub_and_supervisor

from kedge.testing.host import running_host

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests" / "cluster"))
from go_programs import kubernetes  # noqa: E402  # of the tests

SECONDS = 2.0
TURNS = 2
PODS, MAPS, WATCHERS = 5000, 2000, 200
START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """One of the two.

    Attributes:
        address: ``https://host:port``.
        ca: PEM file of its authority.
        token: An administrator's.
        processes: What its memory is counted of.
    """

    address: str
    ca: Path
    token: str
    processes: list[psutil.Process]

    @property
    def memory(self) -> float:
        """MB, resident."""
        return sum(process.memory_info().rss for process in self.processes) / 1e6


@contextmanager
def kube_apiserver(folder: Path) -> Generator[Server]:
    """kube-apiserver and etcd, alone: no controllers, no nodes."""
    program = kubernetes()
    for name in ("etcd", "kube-apiserver"):
        (folder / name).symlink_to(program)
    client, peers, port = (_free_port() for _ in range(3))
    subprocess.run(["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True)
    token = base64.b16encode(folder.name.encode()).decode()
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    peer = f"http://127.0.0.1:{peers}"
    etcd = [
        f"--data-dir={folder}/data",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]
    server = [
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--cert-dir={folder}/certs",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/sa.key",
        f"--service-account-signing-key-file={folder}/sa.key",
        "--service-cluster-ip-range=10.97.0.0/24",
        "--disable-admission-plugins=ServiceAccount",  # nobody makes service accounts here
        "--endpoint-reconciler-type=none",
    ]
    with ExitStack() as stack:
        pids = [
            stack.enter_context(_running(folder, "etcd", etcd)),
            stack.enter_context(_running(folder, "kube-apiserver", server)),
        ]
        address = f"https://127.0.0.1:{port}"
        _await(f"{address}/readyz", token)
        yield Server(address, folder / "certs" / "apiserver.crt", token, [psutil.Process(pid) for pid in pids])


@contextmanager
def embedded() -> Generator[Server]:
    """A host."""
    with running_host({"KEDGE_SYNCHRONOUS": "FULL"}) as kedge:
        yield Server(kedge.host.https, kedge.home / "pki" / "ca.crt", kedge.host.token, hub_and_supervisor(kedge))


@contextmanager
def bare(folder: Path, kedge: Server) -> Generator[Server]:
    """The floor, with the certificate of a host."""
    port, pki = _free_port(), kedge.ca.parent
    words = [str(HERE / "bare_server.py"), str(port), str(pki / "serving.crt"), str(pki / "serving.key"), str(folder)]
    process = subprocess.Popen([sys.executable, *words], stdin=subprocess.DEVNULL)
    try:
        address = f"https://127.0.0.1:{port}"
        _await(address, kedge.token)
        yield Server(address, kedge.ca, kedge.token, [psutil.Process(process.pid)])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _running(folder: Path, name: str, arguments: list[str]) -> Generator[int]:
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen([str(folder / name), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _await(address: str, token: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False  # its certificate is made as it starts
    context.verify_mode = ssl.CERT_NONE
    end = time.monotonic() + START_SECONDS
    while True:
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # https
        try:
            with urllib.request.urlopen(request, context=context, timeout=5):  # noqa: S310  # https
                return
        except OSError:
            if time.monotonic() > end:
                raise
        threading.Event().wait(0.2)


class Load:
    """Asks the servers by turns."""

    def __init__(self, program: Path, servers: dict[str, Server]) -> None:
        self._program = program
        self._servers = servers
        self._turn = 0

    def of(self, name: str, verb: str, clients: int = 1, *, seconds: float = SECONDS, count: int = 0) -> Any:
        """What one server did."""
        server = self._servers[name]
        self._turn += 1
        options = {
            "server": server.address, "ca": server.ca, "token": server.token, "clients": clients,
            "seconds": seconds, "count": count, "prefix": f"load-{self._turn}",
        }  # fmt: skip
        words = [f"--{key}={value}" for key, value in options.items()]
        done = subprocess.run([str(self._program), *words, verb], check=True, capture_output=True, text=True)
        return json.loads(done.stdout or "{}")

    def by_turns(self, verb: str, clients: int) -> dict[str, list[Any]]:
        """What all did, each several times."""
        found: dict[str, list[Any]] = {name: [] for name in self._servers}
        for _ in range(TURNS):
            for name, each in found.items():
                each.append(self.of(name, verb, clients))
        return found


def run() -> list[dict[str, Any]]:
    """Measure."""
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("there is no Go to build Kubernetes and the program that asks with")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-api-")))
        program = folder / "load"
        subprocess.run([go, "build", "-C", str(HERE / "load"), "-o", str(program), "."], check=True)
        servers = {"kube-apiserver": stack.enter_context(kube_apiserver(folder)), "kedge": stack.enter_context(embedded())}
        servers["bare"] = stack.enter_context(bare(folder, servers["kedge"]))
        load = Load(program, servers)
        for name in ("kube-apiserver", "kedge"):
            load.of(name, "pods", count=PODS)
            load.of(name, "create", 8, count=MAPS)
        rows = [_fan_out(load), *_throughputs(load), _list(load)]
        return [*rows, _memory(servers)]


def _throughputs(load: Load) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for clients in (1, 8):
        for verb, least in (("create", 1.0), ("update", 1.0), ("get", 2.0)):
            found = load.by_turns(verb, clients)
            rates = {
                name: sum(each["count"] for each in all_) / sum(each["seconds"] for each in all_) for name, all_ in found.items()
            }
            rows += _compared(f"{verb}, {clients} client{'s' if clients > 1 else ''}", rates, "requests/s", least, more=True)
    return rows


def _list(load: Load) -> dict[str, Any]:
    found = _medians(load.by_turns("list", 1))
    del found["bare"]  # which has no list
    return _compared(f"list of {PODS:,} Pods", found, "ms", 1.0)[0]


def _fan_out(load: Load) -> dict[str, Any]:
    return _compared(f"one write seen by {WATCHERS} watchers", _medians(load.by_turns("watch", WATCHERS)), "ms", 1.5)[0]


def _medians(found: dict[str, list[Any]]) -> dict[str, float]:
    return {name: sorted(each["median_ms"] for each in all_)[len(all_) // 2] for name, all_ in found.items()}


def _memory(servers: dict[str, Server]) -> dict[str, Any]:
    return _compared(
        "memory after all of it", {name: server.memory for name, server in servers.items() if name != "bare"}, "MB", 1 / 3
    )[0]


def _compared(name: str, figures: dict[str, float], unit: str, limit: float, *, more: bool = False) -> list[dict[str, Any]]:
    ours, theirs = figures["kedge"], figures["kube-apiserver"]
    said = f"{name} ({ours:,.4g} beside {theirs:,.4g} {unit})"
    floor = figures["bare"] / theirs if "bare" in figures else None
    return [{"name": said, "value": ours / theirs, "unit": "x", "limit": limit, "floor": floor, "more": more}]
