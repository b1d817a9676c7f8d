"""What a client asks of a host, step by step, and what it is answered: the same texts whatever the client is.

The programs beside this file run under interpreters that have their client and nothing of Kedge; each prints its answers as JSON.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

IMAGE = "python:3.11"
SECONDS = 100
SPEAKS = "echo said; while read line; do echo heard $line; done; sleep 1000"
ANSWERS = "read line; echo got $line; exit 5"
ECHOES = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print("at", server.getsockname()[1], flush=True)
    while True:
        with server.accept()[0] as one:
            one.sendall(b"through")
"""


class Steps:
    """Answers by step.

    Args:
        namespace: The one of this client; it stands in answers as ``NAMESPACE``.
        told: What an error of the client says, as ``Reason: message``; raises what is no answer of the server.
    """

    def __init__(self, namespace: str, told: Callable[[Exception], str]) -> None:
        self.answers: dict[str, str] = {}
        self._namespace = namespace
        self.told = told

    def step(self, name: str, ask: Callable[[], Any]) -> None:
        """Ask, and keep what is answered."""
        self.answers[name] = str(self.tried(ask)).replace(self._namespace, "NAMESPACE")

    def tried(self, ask: Callable[[], Any]) -> Any:
        """What it returns, or what its error says."""
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - which errors are answers, each client says
            return self.told(error)

    def printed(self) -> None:
        """Hand over what was answered."""
        print(json.dumps(self.answers))  # noqa: T201 - the program's output


def until(look: Callable[[], Any], wanted: Any) -> Any:
    """Look again until that is seen; returns it."""
    deadline = time.monotonic() + SECONDS
    while (seen := look()) != wanted:
        if time.monotonic() > deadline:
            return f"{seen!r} is not {wanted!r} after {SECONDS} s"
        time.sleep(0.2)  # noqa: TID251 - a program of its own
    return seen


def status(text: str | None) -> str:
    """Reason and message of a ``metav1.Status``; an invalid object's kind without its group, which `kubectl` does not say."""
    try:
        found = json.loads(text or "{}")
    except json.JSONDecodeError:
        return str(text).strip()  # of a group that is served in a moment
    message = re.sub(r'^(\w+)\.\S+ ("\S+" is invalid: )', r"\1 \2", found["message"])
    return f"{found['reason']}: {message}"


def data(found: dict[str, str] | None) -> str:
    """What a ConfigMap holds."""
    return ", ".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or "nothing"


def names(found: Iterable[str]) -> str:
    """Of several objects."""
    return ", ".join(sorted(found)) or "none"


def made(name: str) -> str:
    """A name that the server has completed, without what is different each time."""
    return re.sub(r"-[a-z0-9]{5}$", "-?????", name)


def config(name: str, *, size: str = "1", **metadata: Any) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"size": size}}


def owned(name: str, owner: Any) -> dict[str, Any]:
    """A ConfigMap that goes with another one."""
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"], "blockOwnerDeletion": True}
    return config(name, ownerReferences=[reference])


def pod(name: str, command: list[str]) -> dict[str, Any]:
    """A Pod of one container."""
    container = {"name": "main", "image": IMAGE, "command": command}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def shell() -> dict[str, Any]:
    """A Pod that answers what it is told."""
    found = pod("shell", ["sh", "-c", SPEAKS])
    found["spec"]["containers"][0]["stdin"] = True
    return found


def deployment(name: str) -> dict[str, Any]:
    """A Deployment of no Pods yet."""
    made = pod(name, ["sh", "-c", SPEAKS])
    template = {"metadata": {"labels": made["metadata"]["labels"]}, "spec": {**made["spec"], "restartPolicy": "Always"}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def job(name: str) -> dict[str, Any]:
    """A Job that does nothing."""
    template = {"spec": pod(name, ["true"])["spec"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


def service(name: str) -> dict[str, Any]:
    """A Service that lacks its ports."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}}}


def definition(group: str) -> dict[str, Any]:
    """A kind of one's own, with status, scale and columns."""
    sizes = {
        "size": {"type": "integer", "maximum": 5},
        "colour": {"type": "string", "default": "red"},
        "replicas": {"type": "integer"},
    }
    status = {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": sizes}, "status": status}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
        "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boxes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"},
            "versions": [version],
        },
    }


def box(group: str, name: str, **spec: Any) -> dict[str, Any]:
    """An object of that kind."""
    return {"apiVersion": f"{group}/v1", "kind": "Box", "metadata": {"name": name}, "spec": spec}


def role(name: str, verbs: list[str]) -> dict[str, Any]:
    """A Role for ConfigMaps."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules}


def binding(name: str, namespace: str) -> dict[str, Any]:
    """A RoleBinding of that Role for the ServiceAccount of that name."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
