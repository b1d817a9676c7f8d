"""What ``kubectl get`` shows of each kind, besides NAME and AGE."""

from collections.abc import Callable
from typing import Any

from kedge.kube.kinds import Column, Obj


def _at(obj: Any, *path: str) -> Any:
    """What stands at a path; ``None`` where nothing does. One odd object must not take the whole table away."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def _objects(obj: Any, *path: str) -> list[Obj]:
    """The objects of the list at a path."""
    found = _at(obj, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _pod_ready(pod: Obj) -> str:
    statuses = _objects(pod, "status", "containerStatuses")
    return f"{sum(1 for status in statuses if status.get('ready'))}/{len(_objects(pod, 'spec', 'containers'))}"


def _pod_restarts(pod: Obj) -> int:
    counts = (status.get("restartCount", 0) for status in _objects(pod, "status", "containerStatuses"))
    return sum(count for count in counts if isinstance(count, int))


def _is_sidecar(container: Obj) -> bool:
    return container.get("restartPolicy") == "Always"


def _pod_init(pod: Obj) -> str:
    """The first init container that holds the Pod up, in words, or ``""``."""
    specs = _objects(pod, "spec", "initContainers")
    sidecars = [container.get("name") for container in specs if _is_sidecar(container)]
    for index, status in enumerate(_objects(pod, "status", "initContainerStatuses")):
        ended = _at(status, "state", "terminated")
        if _at(ended, "exitCode") == 0:
            continue
        if status.get("name") in sidecars and status.get("started"):
            continue
        if ended is not None:
            return f"Init:{_how_ended(ended)}"
        reason = _at(status, "state", "waiting", "reason")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{len(specs)}"
    return ""


def _pod_init_failed(pod: Obj) -> str:
    """How the init container ended that the Pod failed with, or ``""``; its containers never ran."""
    if _at(pod, "status", "reason"):
        return ""
    sidecars = [container.get("name") for container in _objects(pod, "spec", "initContainers") if _is_sidecar(container)]
    for status in _objects(pod, "status", "initContainerStatuses"):
        ended = _at(status, "state", "terminated")
        if ended is not None and _at(ended, "exitCode") != 0 and status.get("name") not in sidecars:
            return f"Init:{_how_ended(ended)}"
    return ""


def _how_ended(ended: Any) -> str:
    return str(_at(ended, "reason") or f"ExitCode:{_at(ended, 'exitCode')}")


def pod_status(pod: Obj) -> str:
    """One word for how a Pod is, as ``kubectl get pods`` prints it.

    Examples:
        >>> pod_status({"status": {"phase": "Pending"}})
        'Pending'
        >>> pod_status({"metadata": {"deletionTimestamp": "2026-11-23T09:05:07Z"}, "status": {"phase": "Running"}})
        'Terminating'
    """
    phase = str(_at(pod, "status", "phase") or "Unknown")
    if _at(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    if word := {"Pending": _pod_init, "Failed": _pod_init_failed}.get(phase, lambda _: "")(pod):
        return word
    word = str(_at(pod, "status", "reason") or phase)
    for container in reversed(_objects(pod, "status", "containerStatuses")):
        if reason := _at(container, "state", "waiting", "reason"):
            word = str(reason)
        elif ended := _at(container, "state", "terminated"):
            word = _how_ended(ended)
    return word


def _field(*path: str, default: Any = "") -> Any:
    def read(obj: Obj) -> Any:
        value = _at(obj, *path)
        return default if value is None else value

    return read


def _size(*keys: str) -> Any:
    return lambda obj: sum(len(part) for key in keys if isinstance(part := obj.get(key), dict | list))


def _involved(event: Obj) -> str:
    target = event.get("involvedObject") or event.get("regarding")
    return f"{str(_at(target, 'kind') or '').lower()}/{_at(target, 'name') or ''}"


def _last_seen(event: Obj) -> str | None:
    return event.get("lastTimestamp") or event.get("eventTime") or _at(event, "metadata", "creationTimestamp")


def _node_status(node: Obj) -> str:
    ready = next((each.get("status") for each in _objects(node, "status", "conditions") if each.get("type") == "Ready"), None)
    words = ["Ready" if ready == "True" else "Unknown" if ready is None else "NotReady"]
    if _at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Obj) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = _at(node, "metadata", "labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _node_address(kind: str) -> Callable[[Obj], str]:
    def address(node: Obj) -> str:
        found = (each.get("address") for each in _objects(node, "status", "addresses") if each.get("type") == kind)
        return next(found, None) or "<none>"

    return address


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _claim_status(claim: Obj) -> str:
    return "Terminating" if _at(claim, "metadata", "deletionTimestamp") else str(_at(claim, "status", "phase") or "")


def _claim_modes(claim: Obj) -> str:
    modes = _at(claim, "status", "accessModes")
    return ",".join(_MODES.get(str(mode), str(mode)) for mode in modes) if isinstance(modes, list) else ""


POD = (
    Column("Ready", _pod_ready, description="Containers that are ready, of all."),
    Column("Status", pod_status, description="How the Pod is, in one word."),
    Column("Restarts", _pod_restarts, type="integer", description="How often its containers were started again."),
    Column("IP", _field("status", "podIP", default="<none>"), priority=1, description="The Pod's address."),
    Column("Node", _field("spec", "nodeName", default="<none>"), priority=1, description="Where it runs."),
)
NAMESPACE = (Column("Status", _field("status", "phase"), description="Active or Terminating."),)
CONFIG_MAP = (Column("Data", _size("data", "binaryData"), type="integer", description="How many keys it holds."),)
SECRET = (
    Column("Type", _field("type"), description="What the data means."),
    Column("Data", _size("data"), type="integer", description="How many keys it holds."),
)
SERVICE_ACCOUNT = (Column("Secrets", _size("secrets"), type="integer", description="Secrets that it names."),)
EVENT = (
    Column("Last Seen", _last_seen, type="date", description="When it happened last."),
    Column("Type", _field("type"), description="Normal or Warning."),
    Column("Reason", _field("reason"), description="Why, in one word."),
    Column("Object", _involved, description="What it is about."),
    Column("Message", _field("message"), description="What happened."),
)
LEASE = (Column("Holder", _field("spec", "holderIdentity"), description="Who holds it."),)
NODE = (
    Column("Status", _node_status, description="Whether it takes Pods."),
    Column("Roles", _node_roles, description="What it is for."),
    Column("Version", _field("status", "nodeInfo", "kubeletVersion"), description="The version of its agent."),
    Column("Internal-IP", _node_address("InternalIP"), priority=1, description="Its address."),
    Column("External-IP", _node_address("ExternalIP"), priority=1, description="Its address from outside."),
    Column("OS-Image", _field("status", "nodeInfo", "osImage"), priority=1, description="Its operating system."),
    Column("Kernel-Version", _field("status", "nodeInfo", "kernelVersion"), priority=1, description="Its kernel."),
    Column(
        "Container-Runtime",
        _field("status", "nodeInfo", "containerRuntimeVersion"),
        priority=1,
        description="What runs its containers.",
    ),
)
PERSISTENT_VOLUME_CLAIM = (
    Column("Status", _claim_status, description="Pending, Bound or Terminating."),
    Column("Volume", _field("spec", "volumeName"), description="What holds its files."),
    Column("Capacity", _field("status", "capacity", "storage"), description="How much it asked for."),
    Column("Access Modes", _claim_modes, description="How it may be shared."),
    Column("StorageClass", _field("spec", "storageClassName"), description="Where volumes come from."),
    Column("VolumeAttributesClass", _field("spec", "volumeAttributesClassName", default="<unset>"), description="Not used here."),
    Column("VolumeMode", _field("spec", "volumeMode"), priority=1, description="Filesystem or Block."),
)
