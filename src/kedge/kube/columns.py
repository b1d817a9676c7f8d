"""What ``kubectl get`` shows of each kind, besides NAME and AGE."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kedge.kube.kinds import Column, Obj

_SHOWN = 3


def at(obj: Any, *path: str) -> Any:
    """What stands at a path; ``None`` where nothing does. One odd object must not take the whole table away."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def tolerant(*columns: Column) -> tuple[Column, ...]:
    """Columns that show ``<invalid>`` for an object in which nothing stands where they look."""
    return tuple(replace(column, value=_guarded(column.value)) for column in columns)


def _guarded(value: Callable[[Obj], Any]) -> Callable[[Obj], Any]:
    def read(obj: Obj) -> Any:
        try:
            return value(obj)
        except (TypeError, AttributeError, KeyError, IndexError, ValueError):
            return "<invalid>"

    return read


def objects(obj: Any, *path: str) -> list[Obj]:
    """The objects of the list at a path."""
    found = at(obj, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def field(*path: str, default: Any = "") -> Callable[[Obj], Any]:
    """Reads what stands at a path; the default where nothing does."""

    def read(obj: Obj) -> Any:
        value = at(obj, *path)
        return default if value is None else value

    return read


def some(texts: list[str], none: str) -> str:
    """The first three of some texts, and how many more there are.

    Args:
        texts: The texts.
        none: What stands for none.
    """
    more = len(texts) - _SHOWN
    return (",".join(texts[:_SHOWN]) + (f" + {more} more..." if more > 0 else "")) or none


def _size(*keys: str) -> Any:
    return lambda obj: sum(len(part) for key in keys if isinstance(part := obj.get(key), dict | list))


def _involved(event: Obj) -> str:
    target = event.get("involvedObject") or event.get("regarding")
    return f"{str(at(target, 'kind') or '').lower()}/{at(target, 'name') or ''}"


def _first_seen(event: Obj) -> str | None:
    return event.get("firstTimestamp") or event.get("eventTime") or at(event, "metadata", "creationTimestamp")


def _last_seen(event: Obj) -> str | None:
    return at(event, "series", "lastObservedTime") or event.get("lastTimestamp") or _first_seen(event)


def _times(event: Obj) -> int:
    return at(event, "series", "count") or event.get("count") or 1


def _event_source(event: Obj) -> str:
    component = at(event, "source", "component") or event.get("reportingComponent") or ""
    where = at(event, "source", "host") or event.get("reportingInstance") or ""
    return f"{component}, {where}" if where else component


def _node_status(node: Obj) -> str:
    ready = next((each.get("status") for each in objects(node, "status", "conditions") if each.get("type") == "Ready"), None)
    words = ["Ready" if ready == "True" else "Unknown" if ready is None else "NotReady"]
    if at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Obj) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = at(node, "metadata", "labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _node_address(kind: str) -> Callable[[Obj], str]:
    def address(node: Obj) -> str:
        found = (each.get("address") for each in objects(node, "status", "addresses") if each.get("type") == kind)
        return next(found, None) or "<none>"

    return address


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _claim_status(claim: Obj) -> str:
    return "Terminating" if at(claim, "metadata", "deletionTimestamp") else str(at(claim, "status", "phase") or "")


def access_modes(modes: Any) -> str:
    """Access modes, short.

    Examples:
        >>> access_modes(["ReadWriteOnce"])
        'RWO'
    """
    return ",".join(_MODES.get(str(mode), str(mode)) for mode in modes) if isinstance(modes, list) else ""


NAMESPACE = (Column("Status", field("status", "phase"), description="Active or Terminating."),)
CONFIG_MAP = (Column("Data", _size("data", "binaryData"), type="integer", description="How many keys it holds."),)
SECRET = (
    Column("Type", field("type"), description="What the data means."),
    Column("Data", _size("data"), type="integer", description="How many keys it holds."),
)
SERVICE_ACCOUNT = (Column("Secrets", _size("secrets"), type="integer", description="Secrets that it names."),)
EVENT = (
    Column("Last Seen", _last_seen, type="date", description="When it happened last."),
    Column("Type", field("type"), description="Normal or Warning."),
    Column("Reason", field("reason"), description="Why, in one word."),
    Column("Object", _involved, description="What it is about."),
    Column("Subobject", field("involvedObject", "fieldPath"), priority=1, description="Which part of it."),
    Column("Source", _event_source, priority=1, description="Who tells it."),
    Column("Message", field("message"), description="What happened."),
    Column("First Seen", _first_seen, type="date", priority=1, description="When it happened first."),
    Column("Count", _times, type="integer", priority=1, description="How often it happened."),
    Column("Name", field("metadata", "name"), priority=1, description="Its name."),
)
LEASE = (Column("Holder", field("spec", "holderIdentity"), description="Who holds it."),)
NODE = (
    Column("Status", _node_status, description="Whether it takes Pods."),
    Column("Roles", _node_roles, description="What it is for."),
    Column("Version", field("status", "nodeInfo", "kubeletVersion"), description="The version of its agent."),
    Column("Internal-IP", _node_address("InternalIP"), priority=1, description="Its address."),
    Column("External-IP", _node_address("ExternalIP"), priority=1, description="Its address from outside."),
    Column("OS-Image", field("status", "nodeInfo", "osImage"), priority=1, description="Its operating system."),
    Column("Kernel-Version", field("status", "nodeInfo", "kernelVersion"), priority=1, description="Its kernel."),
    Column(
        "Container-Runtime",
        field("status", "nodeInfo", "containerRuntimeVersion"),
        priority=1,
        description="What runs its containers.",
    ),
)
PERSISTENT_VOLUME_CLAIM = (
    Column("Status", _claim_status, description="Pending, Bound or Terminating."),
    Column("Volume", field("spec", "volumeName"), description="What holds its files."),
    Column("Capacity", field("status", "capacity", "storage"), description="How much it asked for."),
    Column("Access Modes", lambda claim: access_modes(at(claim, "status", "accessModes")), description="How it may be shared."),
    Column("StorageClass", field("spec", "storageClassName"), description="Where volumes come from."),
    Column("VolumeAttributesClass", field("spec", "volumeAttributesClassName", default="<unset>"), description="Not used here."),
    Column("VolumeMode", field("spec", "volumeMode"), priority=1, description="Filesystem or Block."),
)
