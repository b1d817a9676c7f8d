"""An S3 server in the cluster: a Pod and a Service, at an address that Pods and this machine share.

What is asked of it is in the Pod's log, so a test can tell who has moved what.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from access import Cluster
from images import S3
from obstore.store import S3Store

PORT = 7070
KEYS = {"ROOT_ACCESS_KEY": "tester", "ROOT_SECRET_KEY": "not-for-steps"}
# Of a line of versitygw's log: 13:07:09 | vgw | 200 |     307.629µs | 10.244.0.7 | GET | /bucket/x | - |
ASKED = re.compile(r"\| vgw \| (?P<status>\d+) \|\s*\S+ \| (?P<client>\S+) \| (?P<method>[A-Z]+) \| (?P<path>\S+) \|")


@dataclass(frozen=True)
class Asked:
    """One request that the server has answered.

    Attributes:
        client: The address that it came from.
        method: Such as ``GET``.
        path: ``/bucket/key``.
        status: What was answered.
    """

    client: str
    method: str
    path: str
    status: int


@dataclass(frozen=True)
class DeployedS3:
    """The server.

    Attributes:
        cluster: Where it runs.
        namespace: Its own.
        address: Of its Service.
    """

    cluster: Cluster
    namespace: str
    address: str

    @property
    def environ(self) -> dict[str, str]:
        """What a hub needs to use it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.address}:{PORT}",
            "AWS_ACCESS_KEY_ID": KEYS["ROOT_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": KEYS["ROOT_SECRET_KEY"],
            "AWS_REGION": "us-east-1",
        }

    def store(self, bucket: str) -> S3Store:
        """A client of it."""
        return S3Store(
            bucket,
            endpoint=self.environ["AWS_ENDPOINT_URL"],
            access_key_id=KEYS["ROOT_ACCESS_KEY"],
            secret_access_key=KEYS["ROOT_SECRET_KEY"],
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def asked(self) -> list[Asked]:
        """What it was asked for, oldest first."""
        lines = self.cluster.kubectl("logs", "--namespace", self.namespace, "s3").splitlines()
        return [
            Asked(found["client"], found["method"], found["path"], int(found["status"]))
            for line in lines
            if (found := ASKED.search(line))
        ]


@contextmanager
def deployed_s3(cluster: Cluster) -> Generator[DeployedS3]:
    """Deploy a server with one empty bucket, and delete it afterwards.

    Args:
        cluster: Where. This machine must reach Services' addresses, as it does when it is a node.
    """
    cluster.bring(S3)
    with cluster.namespace() as namespace:
        cluster.apply(_pod(), _service(), namespace=namespace)
        cluster.kubectl("wait", "--namespace", namespace, "--for=condition=Ready", "pod/s3", "--timeout=60s")
        yield DeployedS3(cluster, namespace, cluster.get("service", "s3", "--namespace", namespace)["spec"]["clusterIP"])


def _pod() -> dict[str, Any]:
    container = {
        "name": "s3",
        "image": S3.names[0],
        "args": ["--port", f":{PORT}", "posix", "--sidecar", "/metadata", "/objects"],
        "env": [{"name": name, "value": value} for name, value in KEYS.items()],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s3", "labels": {"app": "s3"}}, "spec": spec}


def _service() -> dict[str, Any]:
    spec = {"selector": {"app": "s3"}, "ports": [{"port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s3"}, "spec": spec}
