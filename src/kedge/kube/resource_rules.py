"""The rules of what containers ask for: names of resources, amounts, and how requests and limits go together."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.kinds import Obj
from kedge.kube.quantities import Amount

HUGE_PAGES = "hugepages-"
_OF_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD = _OF_CONTAINERS | {
    *(f"{part}.{name}" for part in ("requests", "limits") for name in _OF_CONTAINERS),
    "storage",
    "requests.storage",
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
}


def is_native(name: str) -> bool:
    """Whether a resource is one of Kubernetes' own.

    Examples:
        >>> is_native("cpu"), is_native("nvidia.com/gpu")
        (True, False)
    """
    return "/" not in name or "kubernetes.io/" in name


def is_shared(name: str) -> bool:
    """Whether more of a resource may be allowed than is there: then limits may be above requests."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


def is_extended(name: str) -> bool:
    """Whether a resource is one that somebody has added, counted in whole pieces.

    Examples:
        >>> is_extended("nvidia.com/gpu"), is_extended("requests.nvidia.com/gpu")
        (True, False)
    """
    return not is_native(name) and not name.startswith("requests.") and not any(faults.qualified("", f"requests.{name}"))


def name_faults(field: str, name: str) -> Iterator[Cause]:
    """What is wrong with the name of a resource."""
    found = list(faults.qualified(field, name))
    yield from found
    if not found and "/" not in name and name not in _STANDARD and not name.startswith(HUGE_PAGES):
        yield faults.invalid(field, name, "must be a standard resource type or fully qualified")


def container_name_faults(field: str, name: str) -> Iterator[Cause]:
    """What is wrong with the name of a resource that containers ask for."""
    yield from name_faults(field, name)
    if "/" not in name:
        if name not in _OF_CONTAINERS and not name.startswith(HUGE_PAGES):
            yield faults.invalid(field, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield faults.invalid(field, name, "doesn't follow extended resource name standard")


def amount_faults(field: str, name: str, value: Any) -> Iterator[Cause]:
    """What is wrong with an amount of a resource."""
    try:
        amount = Amount.of(value)
    except ValueError as error:
        yield faults.invalid(field, value, str(error))
        return
    if amount.value < 0:
        yield faults.invalid(field, str(amount), faults.NOT_NEGATIVE)
    if is_extended(name) and amount.value != amount.value.to_integral_value():
        yield faults.invalid(field, str(amount), "must be an integer")


def requirement_faults(resources: Obj | None, path: str) -> Iterator[Cause]:
    """What is wrong with ``resources`` of a container.

    Args:
        resources: The requirements.
        path: Where they stand.
    """
    limits, requests = ((resources or {}).get(part) or {} for part in ("limits", "requests"))
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            yield from container_name_faults(f"{path}.{part}[{name}]", name)
            yield from amount_faults(f"{path}.{part}[{name}]", name, value)
            if part == "requests":
                yield from _together(name, value, limits.get(name), path)
    named = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in named) and not named & {"cpu", "memory"}:
        yield faults.forbidden(path, "HugePages require cpu or memory")


def _together(name: str, request: Any, limit: Any, path: str) -> Iterator[Cause]:
    if limit is None:
        if not is_shared(name):
            yield faults.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    if quantities.fault(request) or quantities.fault(limit):
        return
    asked, allowed = Amount.of(request), Amount.of(limit)
    if asked.value != allowed.value and not is_shared(name):
        yield faults.invalid(f"{path}.requests", str(asked), f"must be equal to {name} limit of {allowed}")
    elif asked.value > allowed.value:
        yield faults.invalid(f"{path}.requests", str(asked), f"must be less than or equal to {name} limit of {allowed}")
