"""A control plane without nodes, at an address that a test chooses, with what kubeadm makes for machines that are to join.

It is for what the suite's cluster cannot be: one of whose nodes a test cuts the link, and whose controllers notice it soon.
"""

import secrets
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from certificates import Authority
from go_programs import kubernetes
from ports import free_port

from kedge.client import kubeconfig
from kedge.client.http import tls
from kedge.client.kubeconfig import Access, render
from kedge.kube import yaml
from kedge.server.joining import hash_of

START_SECONDS = 120
BOOTSTRAPPERS = "system:bootstrappers:kubeadm:default-node-token"
_SIGNING = "system:certificates.k8s.io:certificatesigningrequests"


@dataclass(frozen=True)
class ControlPlane:
    """What joins it, and who rules it.

    Attributes:
        folder: Where its logs lie, and ``kubeconfig``, its administrator's.
        address: ``host:port`` of its API.
        ca: Its authority, PEM.
        admin: The administrator's client.
    """

    folder: Path
    address: str
    ca: str
    admin: httpx.Client

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    def invitation(self) -> list[str]:
        """The arguments that ``kubeadm token create --print-join-command`` prints, with a token of their own."""
        name, secret = secrets.token_hex(3), secrets.token_hex(8)
        said = {
            "token-id": name,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": BOOTSTRAPPERS,
        }
        meta = {"name": f"bootstrap-token-{name}", "namespace": "kube-system"}
        self.create(
            "/api/v1/namespaces/kube-system/secrets", metadata=meta, type="bootstrap.kubernetes.io/token", stringData=said
        )
        return [self.address, "--token", f"{name}.{secret}", "--discovery-token-ca-cert-hash", hash_of(self.ca.encode())]

    def create(self, path: str, **body: Any) -> Any:
        """Make an object; returns it."""
        made = self.admin.post(path, json=body)
        assert made.status_code == 201, made.text
        return made.json()

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What ``kubectl`` says, also where it fails."""
        argv = [str(self.folder / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def control_plane(folder: Path, host: str) -> Generator[ControlPlane]:
    """Start one; ended with the block.

    Args:
        folder: Of its own.
        host: The address where its API is reached.
    """
    program, port = kubernetes(), free_port(host)
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"):
        (folder / name).symlink_to(program)
    authority, token = Authority.new("kubernetes"), secrets.token_hex(16)
    serving = authority.server(host)
    files = {
        "ca.crt": authority.certificate,
        "ca.key": authority.private,
        "serving.crt": serving.certificate,
        "serving.key": serving.key,
        "tokens.csv": f'{token},admin,admin,"system:masters"\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    subprocess.run(["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True)
    access = Access(f"https://{host}:{port}", ca=authority.certificate, token=token)
    kubeconfig.write(folder / "kubeconfig", access)
    store, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as stack:
        stack.enter_context(_running(folder, "etcd", _etcd(folder, store, peers)))
        stack.enter_context(_running(folder, "kube-apiserver", _api_server(folder, store, host, port)))
        headers = {"authorization": f"Bearer {token}"}
        admin = stack.enter_context(httpx.Client(base_url=access.server, verify=tls(access), headers=headers, timeout=60))
        found = ControlPlane(folder, f"{host}:{port}", authority.certificate, admin)
        _await(found)
        _as_kubeadm(found)
        stack.enter_context(_running(folder, "kube-controller-manager", _controllers(folder)))
        stack.enter_context(_running(folder, "kube-scheduler", [f"--kubeconfig={folder}/kubeconfig", *_ALONE]))
        yield found


def _etcd(folder: Path, store: str, peers: str) -> list[str]:
    return [
        f"--data-dir={folder}/data",
        f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(folder: Path, store: str, host: str, port: int) -> list[str]:
    return [
        f"--etcd-servers={store}",
        f"--secure-port={port}",
        f"--bind-address={host}",
        f"--advertise-address={host}",
        f"--tls-cert-file={folder}/serving.crt",
        f"--tls-private-key-file={folder}/serving.key",
        f"--token-auth-file={folder}/tokens.csv",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/sa.key",
        f"--service-account-signing-key-file={folder}/sa.key",
        "--service-cluster-ip-range=10.97.0.0/24",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        # As kubeadm starts it:
        f"--client-ca-file={folder}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
    ]


_ALONE = ("--leader-elect=false", "--secure-port=0")


def _controllers(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder}/kubeconfig",
        f"--service-account-private-key-file={folder}/sa.key",
        f"--root-ca-file={folder}/ca.crt",
        f"--cluster-signing-cert-file={folder}/ca.crt",
        f"--cluster-signing-key-file={folder}/ca.key",
        "--node-monitor-grace-period=20s",  # half of what a Lease lasts, twice its beat
        "--node-monitor-period=2s",
        *_ALONE,
    ]


def _as_kubeadm(plane: ControlPlane) -> None:
    """What a machine may that has no more than a token: to learn the authority, to ask for a certificate, to renew it."""
    bindings = {
        "kubeadm:kubelet-bootstrap": ("system:node-bootstrapper", BOOTSTRAPPERS),
        "kubeadm:node-autoapprove-bootstrap": (f"{_SIGNING}:nodeclient", BOOTSTRAPPERS),
        "kubeadm:node-autoapprove-certificate-rotation": (f"{_SIGNING}:selfnodeclient", "system:nodes"),
    }
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    group = "rbac.authorization.k8s.io"
    for name, (role, whose) in bindings.items():
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": role}
        subjects = [{"apiGroup": group, "kind": "Group", "name": whose}]
        plane.create(f"{rbac}/clusterrolebindings", metadata={"name": name}, roleRef=reference, subjects=subjects)
    public, name = f"{rbac}/namespaces/kube-public", "kubeadm:bootstrap-signer-clusterinfo"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"], "verbs": ["get"]}
    plane.create(f"{public}/roles", metadata={"name": name}, rules=[rule])
    anybody = [{"apiGroup": group, "kind": "User", "name": "system:anonymous"}]
    reference = {"apiGroup": group, "kind": "Role", "name": name}
    plane.create(f"{public}/rolebindings", metadata={"name": name}, roleRef=reference, subjects=anybody)
    told = yaml.write(render(Access(f"https://{plane.address}", ca=plane.ca)))
    maps = "/api/v1/namespaces/kube-public/configmaps"
    plane.create(maps, metadata={"name": "cluster-info"}, data={"kubeconfig": told})


@contextmanager
def _running(folder: Path, name: str, arguments: list[str]) -> Generator[None]:
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen([str(folder / name), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # an API server whose clients stay
            process.kill()
            process.wait()


def _await(plane: ControlPlane) -> None:
    end = time.monotonic() + START_SECONDS
    for path in ("/readyz", "/api/v1/namespaces/kube-public", "/api/v1/namespaces/kube-system"):
        while True:
            try:
                if plane.admin.get(path).is_success:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > end:
                raise TimeoutError(f"{path}: not there within {START_SECONDS} s; see the logs in {plane.folder}")
            threading.Event().wait(0.2)
