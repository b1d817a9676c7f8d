"""The components of the one-node cluster: how each is started, with the files that it reads.

Everything is on fixed addresses, so one machine holds one cluster. Tried on cgroup v1 (hybrid) and without systemd: hence the
kubelet's cgroup settings, and containerd's `restrict_oom_score_adj`. crun does not start there; runc does.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from go_programs import HERE
from images import PAUSE

NODE = "node-1"
NODE_IP = "10.250.0.1"  # on an interface of our own, so that Pods reach this machine by a fixed address
NODE_LINK, POD_LINK = "kedge-node", "kedge0"
POD_RANGE, SERVICE_RANGE = "10.244.0.0/16", "10.96.0.0/16"
API_PORT = 16443
ETCD = "http://127.0.0.1:12379"
ETCD_PEERS = "http://127.0.0.1:12380"
DOMAIN = "cluster.local"
CLIENTS = "clients"
"""The authority whose client certificates the API server takes."""
MIRROR_PORT = 16500
CONTAINERD_STATE = Path("/run/kedge-test")  # short, and not on the disk
CONTAINERD_SOCKET = CONTAINERD_STATE / "containerd.sock"
_UNLIMITED = ("--kube-api-qps=5000", "--kube-api-burst=10000")  # what is measured is not how long they keep themselves back
KUBERNETES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")


@dataclass(frozen=True)
class Components:
    """The command lines.

    Attributes:
        folder: Where everything lies that they write and read.
    """

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def images(self) -> Path:
        """The layouts of the images that its nodes can pull."""
        return self.folder / "images"

    def etcd(self, *, durable: bool) -> list[str]:
        """The store.

        Args:
            durable: Wait for the disk at every write, as clusters in earnest do.
        """
        return [
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEERS}",
            f"--initial-advertise-peer-urls={ETCD_PEERS}",
            f"--initial-cluster=default={ETCD_PEERS}",
            *([] if durable else ["--unsafe-no-fsync"]),
            "--log-level=warn",
        ]

    def api_server(self, *, audit: bool) -> list[str]:
        """The API server.

        Args:
            audit: Write a line about every request to ``audit.log``.
        """
        return [
            f"--etcd-servers={ETCD}",
            f"--secure-port={API_PORT}",
            f"--bind-address={NODE_IP}",
            f"--advertise-address={NODE_IP}",
            f"--cert-dir={self.folder}/certs",
            f"--token-auth-file={self.folder}/tokens.csv",
            f"--client-ca-file={self._clients()}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder}/sa.key",
            f"--service-account-signing-key-file={self.folder}/sa.key",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=lease",
            *(self._audit() if audit else []),
        ]

    def _clients(self) -> Path:
        """The certificate of the authority for clients; its key lies beside it."""
        found = self.folder / f"{CLIENTS}.crt"
        if not found.exists():
            kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "3650"]
            files = ["-keyout", str(found.with_suffix(".key")), "-out", str(found)]
            subprocess.run(["openssl", "req", *kind, "-subj", f"/CN={CLIENTS}", *files], check=True, capture_output=True)
        return found

    def _audit(self) -> list[str]:
        rules = [{"level": "Metadata"}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        return [f"--audit-policy-file={self.write('audit-policy.json', policy)}", f"--audit-log-path={self.folder}/audit.log"]

    def controller_manager(self) -> list[str]:
        """The built-in controllers."""
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self.folder}/sa.key",
            f"--root-ca-file={self.folder}/certs/apiserver.crt",
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--allocate-node-cidrs=false",
            f"--cert-dir={self.folder}/certs-controllers",
            "--bind-address=127.0.0.1",
            *_UNLIMITED,
        ]

    def scheduler(self) -> list[str]:
        """The scheduler."""
        certificates = f"--cert-dir={self.folder}/certs-scheduler"
        return [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1", certificates, *_UNLIMITED]

    def containerd(self) -> list[str]:
        """The container runtime, with Pods' network."""
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": f"{self.folder}/cni-state",
        }
        bridge = {"type": "bridge", "bridge": POD_LINK, "isGateway": True, "ipMasq": False, "ipam": addresses}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        self.write("cni/10-kedge.conflist", {"cniVersion": "1.0.0", "name": "kedge", "plugins": [bridge, ports]})
        mirror = f"http://{NODE_IP}:{MIRROR_PORT}"
        self.write(
            "registries/_default/hosts.toml", f'server = "{mirror}"\n[host."{mirror}"]\ncapabilities = ["pull", "resolve"]\n'
        )
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        settings = f"""
version = 2
root = "{self.folder}/containerd"
state = "{CONTAINERD_STATE}/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[{cri}]
  sandbox_image = "{PAUSE.names[0]}"
  restrict_oom_score_adj = true
[{cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{self.folder}/cni"
[{cri}.registry]
  config_path = "{self.folder}/registries"
[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  BinaryName = "/usr/sbin/runc"
  SystemdCgroup = false
"""
        return ["--config", self.write("containerd.toml", settings)]

    def mirror(self) -> list[str]:
        """The registry that stands in for all others."""
        self.images.mkdir(exist_ok=True)
        return [str(HERE / "mirror.py"), str(self.images), NODE_IP, str(MIRROR_PORT)]

    def kubelet(self) -> list[str]:
        """The node's agent. Its own port is open to this machine."""
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "maxPods": 500,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "kubeAPIQPS": 500,
            "kubeAPIBurst": 1000,
            "imageMinimumGCAge": "24h",
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi"},
            "resolvConf": "/etc/resolv.conf",
            "volumePluginDir": f"{self.folder}/volume-plugins",
            "clusterDNS": [NODE_IP],
            "clusterDomain": DOMAIN,
            "address": NODE_IP,
            "port": 16250,
            "healthzPort": 0,
            "podLogsDir": f"{self.folder}/pod-logs",
        }
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--config={self.write('kubelet.json', settings)}",
            f"--root-dir={self.folder}/kubelet",
            f"--cert-dir={self.folder}/certs-kubelet",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_IP}",
        ]

    def proxy(self) -> list[str]:
        """What makes Services' addresses work, on this machine too."""
        settings = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(self.kubeconfig)},
            "clusterCIDR": POD_RANGE,
            "conntrack": {"maxPerCore": 0},
            "healthzBindAddress": "127.0.0.1:20256",
            "metricsBindAddress": "127.0.0.1:20249",
        }
        return ["--config", self.write("kube-proxy.json", settings), f"--hostname-override={NODE}"]

    def dns(self) -> list[str]:
        """CoreDNS: Services' names, and no others."""
        zones = f"""
.:53 {{
    bind {NODE_IP}
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {self.kubeconfig}
        pods verified
    }}
    cache 1
}}
"""
        return ["-conf", self.write("Corefile", zones)]

    def write(self, name: str, content: str | Mapping[str, Any]) -> str:
        """Write one of their files.

        Args:
            name: Below the folder.
            content: Text, or what is written as JSON.

        Returns:
            Its path.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)
