"""A node that a test plays: the API server, scheduler and controllers are real, the kubelet is this class.

So a node can fall silent, be drained or be deleted without any harm to the one that the other tests use. It says what a kubelet
says; nothing runs.
"""

import json
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from access import Cluster

from kedge.kube.clock import SystemClock, micro_timestamp, timestamp

_BEAT_SECONDS = 10
LABEL = "kedge.dev/test-node"


def now() -> str:
    """This moment, as objects have it."""
    return timestamp(SystemClock().now())


class PlayedNode:
    """The node.

    Args:
        cluster: Where.
        name: Its name.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._silent = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    @property
    def options(self) -> dict[str, Any]:
        """Platform options of steps that are to come here, and that are not kept for five minutes when it falls silent."""
        unreachable = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
        return {
            "nodeSelector": {"labels": {LABEL: self.name}},
            "tolerations": [{"key": LABEL, "operator": "Exists"}, {**unreachable, "tolerationSeconds": 5}],
        }

    def join(self) -> None:
        """Appear, ready."""
        self._cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": self.name, "labels": {LABEL: self.name}},
                "spec": {"taints": [{"key": LABEL, "effect": "NoSchedule"}]},
            },
        )
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "is played by a test"}
        room = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        times = {"lastHeartbeatTime": now(), "lastTransitionTime": now()}
        self._status("node", self.name, "", {"capacity": room, "allocatable": room, "conditions": [{**ready, **times}]})
        self._renew()
        self._heart.start()

    def fall_silent(self) -> None:
        """Say nothing any more, as a machine that lost its power."""
        self._silent.set()

    def leave(self) -> None:
        """Take every trace away."""
        self._silent.set()
        for kind, name, more in (("node", self.name, ()), ("lease", self.name, ("--namespace", "kube-node-lease"))):
            self._cluster.kubectl("delete", kind, name, *more, "--ignore-not-found", "--wait=false")

    def begin(self, namespace: str, pod: str) -> None:
        """Say that a Pod runs."""
        main: dict[str, Any] = {"name": "main", "ready": True, "restartCount": 0, "image": "python", "imageID": "python"}
        main["state"] = {"running": {"startedAt": now()}}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now()}
        self._status("pod", pod, namespace, {"phase": "Running", "conditions": [ready], "containerStatuses": [main]})

    def end(self, namespace: str, pod: str, *, code: int = 137, **status: Any) -> None:
        """Say that a Pod has ended.

        Args:
            namespace: The Pod's.
            pod: Its name.
            code: Its exit code.
            status: More of its status, such as ``reason`` and ``message``.
        """
        terminated = {"exitCode": code, "reason": "Error", "startedAt": now(), "finishedAt": now()}
        main: dict[str, Any] = {"name": "main", "ready": False, "restartCount": 0, "image": "python", "imageID": "python"}
        main["state"] = {"terminated": terminated}
        self._status("pod", pod, namespace, {"phase": "Failed", "containerStatuses": [main], **status})

    def waits(self, namespace: str, pod: str, reason: str, message: str) -> None:
        """Say that a Pod's container cannot be made yet."""
        main = {"name": "main", "ready": False, "restartCount": 0, "image": "python", "imageID": ""}
        state = {"waiting": {"reason": reason, "message": message}}
        self._status("pod", pod, namespace, {"phase": "Pending", "containerStatuses": [{**main, "state": state}]})

    def refuse(self, namespace: str, pod: str, reason: str, message: str) -> None:
        """Say that a Pod cannot run here."""
        self._status("pod", pod, namespace, {"phase": "Failed", "reason": reason, "message": message})

    def _beat(self) -> None:
        while not self._silent.wait(_BEAT_SECONDS):
            self._renew()

    def _renew(self) -> None:
        moment = micro_timestamp(SystemClock().now())
        self._cluster.apply(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self.name, "namespace": "kube-node-lease"},
                "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": moment},
            }
        )

    def _status(self, kind: str, name: str, namespace: str, status: dict[str, Any]) -> None:
        where = ["--namespace", namespace] if namespace else []
        change = json.dumps({"status": status})
        self._cluster.kubectl("patch", kind, name, *where, "--subresource=status", "--type=strategic", "--patch", change)


@contextmanager
def played_node(cluster: Cluster) -> Generator[PlayedNode]:
    """A node for as long as a test needs it."""
    node = PlayedNode(cluster, f"played-{secrets.token_hex(3)}")
    node.join()
    try:
        yield node
    finally:
        node.leave()
