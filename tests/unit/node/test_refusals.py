"""The Pod API, field by field: what is refused here, and that every field is spoken of."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kedge.kube.core import POD
from kedge.node.refusals import Host, Refusal, check

USER = Host(1000, (1000, 27), "here")
ROOT = Host(0, (0,), "here")
DOC = (Path(__file__).parents[3] / "docs" / "pods.md").read_text()


def spec(field: str, value: Any) -> Any:
    """A Pod's spec with one more field: of the spec, or of its first container."""
    made: Any = {"containers": [{"name": "main", "image": "python:3"}]}
    place = made
    *parents, last = field.split(".")
    for parent in parents:
        place = place["containers"][0] if parent == "container" else place.setdefault(parent, {})
    place[last] = value
    return made


REFUSED: list[tuple[str, Any, Host]] = [
    ("runtimeClassName", "gvisor", USER),
    ("ephemeralContainers", [{"name": "d"}], USER),
    ("os", {"name": "windows"}, USER),
    ("schedulingGroup", {"podGroupName": "x"}, USER),
    ("evictionResponders", [{"name": "x"}], USER),
    ("resourceClaims", [{"name": "x"}], USER),
    ("resources", {"limits": {"cpu": "1"}}, USER),
    ("securityContext.runAsUser", 0, USER),
    ("securityContext.runAsUser", -1, ROOT),
    ("securityContext.runAsGroup", 27, USER),
    ("securityContext.fsGroup", -1, ROOT),
    ("securityContext.runAsNonRoot", True, ROOT),
    ("securityContext.fsGroup", 2000, USER),
    ("securityContext.supplementalGroups", [27, 2000], USER),
    ("securityContext.sysctls", [{"name": "a", "value": "b"}], USER),
    ("securityContext.seLinuxOptions", {"level": "s0"}, USER),
    ("securityContext.windowsOptions", {"hostProcess": True}, USER),
    ("securityContext.seccompProfile", {"type": "Localhost", "localhostProfile": "x"}, USER),
    ("securityContext.appArmorProfile", {"type": "Localhost", "localhostProfile": "x"}, USER),
    ("container.securityContext.runAsUser", 1, USER),
    ("container.securityContext.runAsGroup", 1, USER),
    ("container.securityContext.runAsNonRoot", True, ROOT),
    ("container.securityContext.privileged", True, ROOT),
    ("container.securityContext.capabilities", {"add": ["SYS_ADMIN"]}, USER),
    ("container.securityContext.seLinuxOptions", {"level": "s0"}, USER),
    ("container.securityContext.seccompProfile", {"type": "Localhost", "localhostProfile": "x"}, USER),
    ("container.volumeDevices", [{"name": "x", "devicePath": "/dev/x"}], USER),
    ("container.restartPolicyRules", [{"action": "Restart"}], USER),
    ("container.resources.claims", [{"name": "x"}], USER),
]
ACCEPTED: list[tuple[str, Any, Host]] = [
    ("hostNetwork", True, USER),
    ("hostPID", True, USER),
    ("hostIPC", True, USER),
    ("hostUsers", False, USER),
    ("shareProcessNamespace", True, USER),
    ("os", {"name": sys.platform}, USER),
    ("tolerations", [{"operator": "Exists"}], USER),
    ("topologySpreadConstraints", [{"maxSkew": 1}], USER),
    ("priorityClassName", "high", USER),
    ("imagePullSecrets", [{"name": "x"}], USER),
    ("securityContext.runAsUser", 1000, USER),
    ("securityContext.runAsUser", 1000, ROOT),
    ("securityContext.runAsGroup", 1000, USER),
    ("securityContext.runAsGroup", 27, ROOT),
    ("securityContext.runAsNonRoot", True, USER),
    ("securityContext", {"runAsNonRoot": True, "runAsUser": 1000}, ROOT),
    ("container.securityContext", {"runAsNonRoot": True, "runAsUser": 1000}, ROOT),
    ("securityContext.fsGroup", 2000, ROOT),
    ("securityContext.supplementalGroups", [27, 2000], ROOT),
    ("securityContext.fsGroup", 27, USER),
    ("securityContext.supplementalGroups", [27], USER),
    ("securityContext.seccompProfile", {"type": "RuntimeDefault"}, USER),
    ("container.securityContext.privileged", False, USER),
    ("container.securityContext.capabilities", {"drop": ["ALL"]}, USER),
    ("container.securityContext.capabilities", {"add": ["NET_ADMIN"]}, ROOT),
    ("container.securityContext.allowPrivilegeEscalation", False, USER),
    ("container.securityContext.readOnlyRootFilesystem", True, USER),
    ("container.securityContext.seccompProfile", {"type": "RuntimeDefault"}, USER),
    ("container.ports", [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81, "hostIP": "0.0.0.0"}], USER),  # noqa: S104
    ("container.volumeMounts", [{"name": "x", "mountPath": "/x", "mountPropagation": "None"}], USER),
    ("container.lifecycle", None, USER),
    ("container.lifecycle", {"preStop": {"exec": {"command": ["true"]}}, "stopSignal": "SIGTERM"}, USER),
    ("container.livenessProbe", {"grpc": {"port": 80}}, USER),
    ("readinessGates", [{"conditionType": "x"}], USER),
]
INSIDE: list[tuple[str, Any, str]] = [
    ("volumes", [{"name": "h", "hostPath": {"path": "/"}}], "spec.volumes[0].hostPath"),
    ("volumes", [{"name": "n", "nfs": {"server": "s", "path": "/"}}], "spec.volumes[0].nfs"),
    (
        "volumes",
        [{"name": "p", "projected": {"sources": [{"clusterTrustBundle": {}}]}}],
        "spec.volumes[0].projected.sources[0].clusterTrustBundle",
    ),
    ("container.ports", [{"containerPort": 80, "hostPort": 8080}], "spec.containers[0].ports[0].hostPort"),
    ("container.ports", [{"containerPort": 80, "hostIP": "10.0.0.1"}], "spec.containers[0].ports[0].hostIP"),
    (
        "container.volumeMounts",
        [{"name": "x", "mountPropagation": "Bidirectional"}],
        "spec.containers[0].volumeMounts[0].mountPropagation",
    ),
    (
        "container.volumeMounts",
        [{"name": "x", "recursiveReadOnly": "Enabled"}],
        "spec.containers[0].volumeMounts[0].recursiveReadOnly",
    ),
]


@pytest.mark.parametrize(("field", "value", "host"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_had_is_refused_by_name(field: str, value: Any, host: Host) -> None:
    path = f"spec.{field}".replace("spec.container.", "spec.containers[0].")
    with pytest.raises(Refusal) as caught:
        check(spec(field, value), host)
    assert caught.value.reason == "UnsupportedField"
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.message.endswith("Remove it, or run the Pod on a Kubernetes cluster.")


@pytest.mark.parametrize(("field", "value", "path"), INSIDE, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_had_of_a_list_is_refused_by_its_place(field: str, value: Any, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        check(spec(field, value), USER)
    assert caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(("field", "value", "host"), ACCEPTED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_done_or_changes_nothing_is_accepted(field: str, value: Any, host: Host) -> None:
    check(spec(field, value), host)


def test_claims_are_refused_on_a_machine_that_has_joined_alone() -> None:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    asked = {"volumes": volumes, "containers": [{"name": "main"}]}
    check(asked, ROOT)
    with pytest.raises(Refusal, match=re.escape("spec.volumes[0].persistentVolumeClaim: what claims keep lies elsewhere")):
        check(asked, replace(ROOT, joined=True))


def test_a_container_that_would_be_roots_is_refused_whoever_demanded_that_it_is_not() -> None:
    """The demand is the Pod's, what breaks it is one container's."""
    pod = spec("securityContext", {"runAsNonRoot": True, "runAsUser": 1000})
    pod["containers"].append({"name": "other", "image": "python:3", "securityContext": {"runAsUser": 0}})
    with pytest.raises(Refusal) as caught:
        check(pod, ROOT)
    assert caught.value.message.startswith("spec.securityContext.runAsNonRoot: container other would be root's")


def properties(*path: str) -> set[str]:
    """The fields that Kubernetes has at a place of a Pod's spec."""
    schema: Any = POD.schema["properties"]["spec"] if POD.schema else {}
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    return set(schema["properties"])


@pytest.mark.parametrize("path", [(), ("containers",), ("securityContext",), ("containers", "securityContext")], ids=".".join)
def test_the_documentation_speaks_of_every_field(path: tuple[str, ...]) -> None:
    told = set(re.findall(r"`(\w+)", DOC))
    assert properties(*path) - told == set()
