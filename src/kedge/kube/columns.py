"""What ``kubectl get`` shows of each kind, besides NAME and AGE."""

from typing import Any

from kedge.kube.kinds import Column, Obj


def _pod_ready(pod: Obj) -> str:
    containers = pod.get("spec", {}).get("containers") or []
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return f"{sum(1 for status in statuses if status.get('ready'))}/{len(containers)}"


def _pod_restarts(pod: Obj) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return sum(status.get("restartCount", 0) for status in statuses)


def _is_sidecar(container: Obj) -> bool:
    return container.get("restartPolicy") == "Always"


def _pod_init(pod: Obj) -> str:
    """The first init container that holds the Pod up, in words, or ``""``."""
    specs: list[Obj] = pod.get("spec", {}).get("initContainers") or []
    sidecars = {container.get("name") for container in specs if _is_sidecar(container)}
    for index, status in enumerate(pod.get("status", {}).get("initContainerStatuses") or []):
        state: Obj = status.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if status.get("name") in sidecars and status.get("started"):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        reason = (state.get("waiting") or {}).get("reason")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{len(specs)}"
    return ""


def pod_status(pod: Obj) -> str:
    """One word for how a Pod is, as ``kubectl get pods`` prints it.

    Examples:
        >>> pod_status({"status": {"phase": "Pending"}})
        'Pending'
        >>> pod_status({"metadata": {"deletionTimestamp": "2026-11-23T09:05:07Z"}, "status": {"phase": "Running"}})
        'Terminating'
    """
    status: Obj = pod.get("status") or {}
    phase = str(status.get("phase") or "Unknown")
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    if phase == "Pending" and (word := _pod_init(pod)):
        return word
    word = str(status.get("reason") or phase)
    for container in reversed(status.get("containerStatuses") or []):
        state: Obj = container.get("state") or {}
        if reason := (state.get("waiting") or {}).get("reason"):
            word = reason
        elif ended := state.get("terminated"):
            word = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
    return word


def _field(*path: str, default: Any = "") -> Any:
    def read(obj: Obj) -> Any:
        value: Any = obj
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value

    return read


def _size(*keys: str) -> Any:
    return lambda obj: sum(len(obj.get(key) or ()) for key in keys)


def _involved(event: Obj) -> str:
    target = event.get("involvedObject") or event.get("regarding") or {}
    return f"{str(target.get('kind', '')).lower()}/{target.get('name', '')}"


def _last_seen(event: Obj) -> str | None:
    return event.get("lastTimestamp") or event.get("eventTime") or event.get("metadata", {}).get("creationTimestamp")


def _node_ready(node: Obj) -> str:
    for condition in node.get("status", {}).get("conditions") or []:
        if condition.get("type") == "Ready":
            return "Ready" if condition.get("status") == "True" else "NotReady"
    return "Unknown"


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
    Column("Status", _node_ready, description="Whether it takes Pods."),
    Column("Version", _field("status", "nodeInfo", "kubeletVersion"), description="The version of its agent."),
)
