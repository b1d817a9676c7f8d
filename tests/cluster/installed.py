"""A Kedge that is installed in a cluster, by the users' own command, with a bucket, a volume and a database."""

import json
import secrets
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import postgresql
from access import Cluster
from deployed_s3 import DeployedS3
from go_programs import one_at_a_time
from images import BUCKET, PYTHON
from kedge_image import kedge_image, own_name

from kedge.client import kubeconfig as kubeconfigs
from kedge.config import Settings
from kedge.installation.reaching import find
from kedge.pipelines.client import Client
from kedge.pipelines.connection import Json

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Home:
    """A namespace for a hub, and its administrator's command line.

    Attributes:
        cluster: Where it is.
        name: The namespace.
        s3: Where artifacts go.
        folder: Of this test's own.
        options: Of every ``kedge install``.
    """

    cluster: Cluster
    name: str
    s3: DeployedS3
    folder: Path
    options: tuple[str, ...] = field(default=())

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, whose context is in this namespace."""
        path = self.folder / "kubeconfig"
        access = kubeconfigs.load(self.cluster.kubeconfig, context=self.cluster.context or None)
        kubeconfigs.write(path, replace(access, namespace=self.name), name="tests")
        return path

    def kedge(self, *arguments: str, fails: bool = False, kubeconfig: Path | None = None) -> str:
        """What a command says; it must succeed, or fail where that is expected."""
        return self.python("-m", "kedge", *arguments, fails=fails, kubeconfig=kubeconfig)

    def python(self, *arguments: str, fails: bool = False, kubeconfig: Path | None = None, context: str = "") -> str:
        """What a program says that works in this namespace."""
        environ = {
            **Settings.from_environment().environ,
            **self.s3.environ,
            "KEDGE_ARTIFACTS": self.options[1],
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "KEDGE_HOME": str(self.folder),
            **({"KEDGE_CONTEXT": context} if context else {}),
        }
        done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=280)
        assert bool(done.returncode) == fails, f"{' '.join(arguments)}:\n{done.stdout}{done.stderr}{self.said()}"
        return done.stdout + done.stderr

    def install(self, *options: str) -> str:
        """Install, and wait."""
        return self.kedge("install", "--image", own_name(), *self.options, *options)

    @contextmanager
    def client(self) -> Generator[Client]:
        """A client, on the way that the command line takes."""
        found = find(kubeconfigs.load(self.kubeconfig))
        assert found is not None
        with found:
            yield found

    def kubectl(self, *arguments: str, said: str = "") -> str:
        """What ``kubectl`` answers about this namespace."""
        return self.cluster.kubectl("--namespace", self.name, *arguments, said=said)

    def pods(self, labels: str = "app.kubernetes.io/component=hub") -> list[Json]:
        """The hub's Pods."""
        return json.loads(self.kubectl("get", "pods", "--selector", labels, "--output", "json"))["items"]

    def said(self) -> str:
        """What the hubs have said, for the message of a test that fails."""
        texts = ["\n"]
        for pod in self.pods():
            for previous in ("true", "false"):
                with_name = ["logs", pod["metadata"]["name"], f"--previous={previous}", "--tail=30"]
                try:
                    texts.append(self.kubectl(*with_name))
                except RuntimeError:
                    continue
        return "".join(texts)


@contextmanager
def home(cluster: Cluster, s3: DeployedS3, folder: Path, labels: dict[str, str] | None = None) -> Generator[Home]:
    """A namespace that enforces the restricted standard, with a Secret for the bucket."""
    cluster.bring(kedge_image(), PYTHON)
    with cluster.namespace(RESTRICTED if labels is None else labels) as name:
        literals = [f"--from-literal={key}={value}" for key, value in s3.environ.items()]
        cluster.kubectl("--namespace", name, "create", "secret", "generic", "bucket", *literals)
        options = ("--artifacts", f"s3://{BUCKET}/{secrets.token_hex(4)}", "--artifacts-secret", "bucket")
        yield Home(cluster, name, s3, folder, options)


def left(place: Home) -> set[str]:
    """What a namespace holds, but for what every namespace has and what a test has brought."""
    listed = place.kubectl("api-resources", "--verbs=list,get", "--namespaced", "--output=name").split()
    skipped = {"events", "events.events.k8s.io", "pods.metrics.k8s.io"}
    names = place.kubectl("get", ",".join(set(listed) - skipped), "--output=name", "--ignore-not-found").split()
    brought = {"configmap/kube-root-ca.crt", "serviceaccount/default", "secret/bucket", "secret/database"}
    return {name for name in names if name not in brought and not name.startswith("endpoint")}


@contextmanager
def volume(place: Home) -> Generator[tuple[str, ...]]:
    """A folder of the node for the hub's claim.

    Yields:
        Options with which ``kedge install`` takes it.
    """
    path = f"/var/tmp/kedge-tests/{place.name}"  # noqa: S108  # on the node
    mount = {"name": "disk", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}

    def on_node(command: str) -> None:
        with place.cluster.namespace() as elsewhere:
            container = {
                "name": "main",
                "image": PYTHON.names[0],
                "command": ["sh", "-c", command],
                "volumeMounts": [{"name": "disk", "mountPath": "/disk"}],
            }
            spec = {"restartPolicy": "Never", "containers": [container], "volumes": [mount]}
            place.cluster.apply(
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "disk"}, "spec": spec}, namespace=elsewhere
            )
            condition = "--for=jsonpath={.status.phase}=Succeeded"
            place.cluster.kubectl("--namespace", elsewhere, "wait", condition, "pod/disk", "--timeout=60s")

    on_node("chmod 777 /disk")
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": place.name,
        "claimRef": {"namespace": place.name, "name": "kedge-data"},
        "hostPath": {"path": path, "type": "Directory"},
    }
    place.cluster.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": place.name}, "spec": spec})
    try:
        yield "--storage-class", place.name
    finally:
        place.cluster.kubectl("delete", "persistentvolume", place.name, "--wait=false")
        on_node("rm -rf /disk/*")


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server of this machine that Pods reach.

    Attributes:
        server: The server.
        url: Its address, as Pods have it.
    """

    server: postgresql.Server
    url: str

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """What SQL answers."""
        with postgresql.psycopg.connect(self.server.url(), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []


@contextmanager
def database(place: Home) -> Generator[Database]:
    """A database that is spoken to over TLS, and a Secret ``database`` in the namespace with its address and its authority."""
    postgresql.skip_where_missing()
    with one_at_a_time("postgresql-for-pods"), postgresql.secured(place.cluster.host) as found:
        url = f"{found.address}?sslmode=verify-full&sslrootcert=/etc/kedge/database/ca.crt"
        place.kubectl("create", "secret", "generic", "database", f"--from-literal=url={url}", f"--from-file=ca.crt={found.ca}")
        yield Database(found.server, url)
