"""What Pods ask for, added up as Kubernetes' scheduler does it."""

from collections.abc import Mapping
from types import MappingProxyType

from kedge.kube import quantities
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar


def requests_of(spec: Obj, default: Mapping[str, float] = MappingProxyType({})) -> dict[str, float]:
    """What a Pod asks for: its containers and sidecars together, or its largest init container.

    Args:
        spec: The Pod's spec.
        default: What a main container asks for that does not say.

    Examples:
        >>> requests_of({"containers": [{"resources": {"requests": {"cpu": "500m"}}}, {"resources": {"limits": {"cpu": 1}}}]})
        {'cpu': 1.5}
    """
    total: dict[str, float] = {}
    for container in spec["containers"]:
        add(total, _requests(container, default))
    sidecars: dict[str, float] = {}
    largest: dict[str, float] = {}
    for container in spec.get("initContainers") or ():
        wanted = _requests(container, {})
        if is_sidecar(container):
            add(sidecars, wanted)
            continue
        for name, amount in wanted.items():
            largest[name] = max(largest.get(name, 0.0), amount + sidecars.get(name, 0.0))
    add(total, sidecars)
    for name, amount in largest.items():
        total[name] = max(total.get(name, 0.0), amount)
    return total


def add(total: dict[str, float], more: Mapping[str, float]) -> None:
    """Add amounts to a total, by their names."""
    for name, amount in more.items():
        total[name] = total.get(name, 0.0) + amount


def _requests(container: Obj, default: Mapping[str, float]) -> dict[str, float]:
    resources = container.get("resources") or {}
    stated = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {**default, **{name: float(quantities.parse(amount)) for name, amount in stated.items()}}
