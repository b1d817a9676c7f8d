"""What a relay is in a cluster: plain objects, made of a name and an image."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from kedge.kube.core import CONFIG_MAP, SECRET
from kedge.kube.kinds import Kind, Obj
from kedge.relay import bundle

DEPLOYMENT = Kind("Deployment", "deployments", group="apps", subresources=("status",))
SERVICE = Kind("Service", "services", subresources=("status",))
LABEL = "kedge.dev/relay"
PODS, TUNNEL = 8080, 8081
_PROGRAM = "/kedge/relay"
_SECRET = "/kedge/secret"  # noqa: S105  # a path
_USER = 65_532  # nobody's, on any image


@dataclass(frozen=True, slots=True)
class Wanted:
    """A relay.

    Attributes:
        identity: Whose it is: letters and digits, the data directory's own.
        namespace: Where.
        image: Any with Python 3.8 or newer.
        secret: What the tunnel asks for.
    """

    identity: str
    namespace: str
    image: str
    secret: str

    @property
    def name(self) -> str:
        """The name of its objects."""
        return f"kedge-relay-{self.identity}"

    @property
    def program(self) -> str:
        """The name of the ConfigMap with its program: another one for another program."""
        return f"{self.name}-{bundle.digest()[:8]}"

    @property
    def address(self) -> str:
        """Where Pods reach it."""
        return f"http://{self.name}.{self.namespace}.svc:80"

    @property
    def tunnel(self) -> str:
        """The API server's way to its tunnel port."""
        return f"/api/v1/namespaces/{self.namespace}/services/http:{self.name}:tunnel/proxy"

    @property
    def labels(self) -> Mapping[str, str]:
        """What all its objects carry."""
        return {"app.kubernetes.io/name": "kedge-relay", "app.kubernetes.io/managed-by": "kedge", LABEL: self.identity}


def objects(wanted: Wanted) -> list[tuple[Kind, Obj]]:
    """Everything that a relay is, in the order in which it is made."""

    def named(name: str) -> Obj:
        return {"name": name, "namespace": wanted.namespace, "labels": dict(wanted.labels)}

    return [
        (CONFIG_MAP, {"metadata": named(wanted.program), "binaryData": {"relay.pyz": _base64(bundle.build())}}),
        (SECRET, {"metadata": named(wanted.name), "type": "Opaque", "data": {"secret": _base64(wanted.secret.encode())}}),
        (SERVICE, {"metadata": named(wanted.name), "spec": _service(wanted)}),
        (DEPLOYMENT, {"metadata": named(wanted.name), "spec": _deployment(wanted)}),
    ]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _service(wanted: Wanted) -> Obj:
    return {
        "selector": {LABEL: wanted.identity},
        "ports": [
            {"name": "pods", "port": 80, "targetPort": PODS, "protocol": "TCP"},
            {"name": "tunnel", "port": TUNNEL, "targetPort": TUNNEL, "protocol": "TCP"},
        ],
    }


def _deployment(wanted: Wanted) -> Obj:
    return {
        "replicas": 1,
        "strategy": {"type": "Recreate"},  # two at once would each have half of the requests
        "revisionHistoryLimit": 0,
        "selector": {"matchLabels": {LABEL: wanted.identity}},
        "template": {"metadata": {"labels": dict(wanted.labels)}, "spec": _pod(wanted)},
    }


def _pod(wanted: Wanted) -> Obj:
    """The Pod satisfies the *restricted* Pod Security Standard, and quotas that demand requests and limits."""
    command = ["python3", "-B", f"{_PROGRAM}/relay.pyz", f"--pods={PODS}", f"--tunnel={TUNNEL}", f"--secret={_SECRET}/secret"]
    looked_at = {"httpGet": {"path": "/healthz", "port": TUNNEL}, "timeoutSeconds": 5}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "relay",
                "image": wanted.image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "ports": [{"name": "pods", "containerPort": PODS}, {"name": "tunnel", "containerPort": TUNNEL}],
                "startupProbe": {**looked_at, "periodSeconds": 1, "failureThreshold": 60},
                "readinessProbe": {**looked_at, "periodSeconds": 10, "failureThreshold": 3},
                "livenessProbe": {**looked_at, "periodSeconds": 20, "failureThreshold": 3},
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "program", "mountPath": _PROGRAM, "readOnly": True},
                    {"name": "secret", "mountPath": _SECRET, "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "program", "configMap": {"name": wanted.program}},
            {"name": "secret", "secret": {"secretName": wanted.name, "defaultMode": 0o440}},
        ],
    }
