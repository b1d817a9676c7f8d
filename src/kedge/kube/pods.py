"""What a Pod is: its defaults, and its rules together.

The rules are those of a real API server, in its words and at its places: `pod_rules` has those of the whole, `container_rules`,
`volume_rules`, `placement`, `security_rules` and `resource_rules` those of the parts, `pod_changes` what may change.
"""

from typing import Any

from kedge.errors import Cause
from kedge.kube import conditions, probes
from kedge.kube.kinds import Obj
from kedge.kube.metadata import is_deleting
from kedge.kube.pod_changes import change_faults
from kedge.kube.pod_rules import new_pod_faults, pod_faults, spec_faults

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a Pod that stands for a file of its node."""
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")

_SPEC_DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("restartPolicy", "Always"),
    ("terminationGracePeriodSeconds", 30),
    ("dnsPolicy", "ClusterFirst"),
    ("schedulerName", "default-scheduler"),
)


def default_pod(pod: Obj) -> None:
    """Fill in what a real API server fills in for the fields that matter here; the first three no template shows."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    mirrors = MIRROR in ((pod.get("metadata") or {}).get("annotations") or {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or ("" if mirrors else "default")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account  # the second is its old name
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    default_spec(spec)
    status = pod.get("status")
    if not isinstance(status, dict) or not status.get("phase"):
        pod["status"] = {**(status if isinstance(status, dict) else {}), "phase": "Pending"}


def default_spec(spec: Obj) -> None:
    """Fill in the defaults of a Pod's spec that those of templates have too, in place."""
    for key, value in _SPEC_DEFAULTS:
        if spec.get(key) in (None, ""):
            spec[key] = value
    spec.setdefault("securityContext", {})
    for name in CONTAINER_LISTS:
        for container in _dicts(spec.get(name)):
            _default_container(container)
    for volume in _dicts(spec.get("volumes")):
        _default_volume(volume)


def _default_volume(volume: Obj) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", 0o644)
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
    if isinstance(spec := template.get("spec"), dict):
        spec.setdefault("volumeMode", "Filesystem")
    if isinstance(host_path := volume.get("hostPath"), dict):
        host_path.setdefault("type", "")
    for holder in (volume, *_dicts((volume.get("projected") or {}).get("sources"))):
        if isinstance(token := holder.get("serviceAccountToken"), dict):
            token.setdefault("expirationSeconds", 3600)
        if isinstance(downward := holder.get("downwardAPI"), dict):
            for item in _dicts(downward.get("items")):
                _default_field(item)


def _default_field(holder: Obj) -> None:
    if isinstance(field := holder.get("fieldRef"), dict):
        field.setdefault("apiVersion", "v1")


def _default_container(container: Obj) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = container.get("image")
    if isinstance(image, str) and "imagePullPolicy" not in container:
        last = image.rpartition("/")[2]
        container["imagePullPolicy"] = "Always" if ":" not in last or last.endswith(":latest") else "IfNotPresent"
    resources = container.setdefault("resources", {})
    limits = resources.get("limits") if isinstance(resources, dict) else None
    if isinstance(limits, dict):
        requests = resources.setdefault("requests", {})
        if isinstance(requests, dict):
            for name, value in limits.items():
                requests.setdefault(name, value)
    for port in _dicts(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for variable in _dicts(container.get("env")):
        if isinstance(source := variable.get("valueFrom"), dict):
            _default_field(source)
    probes.default(container)


def is_sidecar(container: Obj) -> bool:
    """Whether an init container is a native sidecar."""
    return container.get("restartPolicy") == "Always"


def is_over(pod: Obj) -> bool:
    """Whether nothing of a Pod runs any more, nor will.

    Examples:
        >>> is_over({"status": {"phase": "Failed"}})
        True
    """
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def is_active(pod: Obj) -> bool:
    """Whether a Pod counts: it has not ended, and nobody has asked it to."""
    return not is_over(pod) and not is_deleting(pod)


def is_ready(pod: Obj) -> bool:
    """Whether a Pod says that it is ready."""
    return conditions.is_true(pod, "Ready")


def validate_pod(pod: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec: Obj = pod.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return []  # what is stored was checked when it came: most writes of a Pod are of its status
    causes = [*spec_faults(spec), *pod_faults(spec)]
    causes += new_pod_faults(spec) if old is None else change_faults(spec, old.get("spec") or {})
    return causes


def _dicts(items: Any) -> list[Obj]:
    found: list[Any] = items if isinstance(items, list) else []
    return [item for item in found if isinstance(item, dict)]
