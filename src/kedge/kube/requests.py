"""What Pods ask for, added up as Kubernetes' scheduler does it; and the class of service that follows from it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeVar

from kedge.kube import quantities
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.kube.quantities import Amount

Amounts = Mapping[str, Amount]
T = TypeVar("T", float, Amount)
_OF_CLASSES = ("cpu", "memory")


def requests_of(spec: Obj, default: Mapping[str, float] = MappingProxyType({})) -> dict[str, float]:
    """What a Pod asks for: its containers and sidecars together, or its largest init container.

    Args:
        spec: The Pod's spec.
        default: What a main container asks for that does not say.

    Examples:
        >>> requests_of({"containers": [{"resources": {"requests": {"cpu": "500m"}}}, {"resources": {"limits": {"cpu": 1}}}]})
        {'cpu': 1.5}
    """
    return _total(spec, lambda container, main: _requests(container, default if main else {}))


def total_of(spec: Obj, part: Literal["requests", "limits"]) -> dict[str, Amount]:
    """The same of what is written alone, exactly.

    Args:
        spec: The Pod's spec.
        part: Which of the two.

    Examples:
        >>> total = total_of({"containers": [{"resources": {"limits": {"memory": "1Gi"}}}] * 2}, "limits")
        >>> {name: str(amount) for name, amount in total.items()}
        {'memory': '2Gi'}
    """
    return _total(spec, lambda container, _: amounts((container.get("resources") or {}).get(part)))


def amounts(resources: Obj | None) -> dict[str, Amount]:
    """Quantities as they are written."""
    return {name: Amount.of(value) for name, value in (resources or {}).items()}


def _total(spec: Obj, of: Callable[[Obj, bool], Mapping[str, T]]) -> dict[str, T]:
    total: dict[str, T] = {}
    for container in spec["containers"]:
        add(total, of(container, True))
    sidecars: dict[str, T] = {}
    largest: dict[str, T] = {}
    for container in spec.get("initContainers") or ():
        wanted = of(container, False)
        if is_sidecar(container):
            add(sidecars, wanted)
            continue
        for name, amount in wanted.items():
            asked = amount + sidecars[name] if name in sidecars else amount
            largest[name] = max(largest[name], asked) if name in largest else asked
    add(total, sidecars)
    for name, amount in largest.items():
        total[name] = max(total[name], amount) if name in total else amount
    return total


def add(total: dict[str, T], more: Mapping[str, T]) -> None:
    """Add amounts to a total, by their names."""
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _requests(container: Obj, default: Mapping[str, float]) -> dict[str, float]:
    resources = container.get("resources") or {}
    stated = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {**default, **{name: float(quantities.parse(amount)) for name, amount in stated.items()}}


def service_class(spec: Obj) -> str:
    """The class of service of a Pod: ``Guaranteed``, ``Burstable`` or ``BestEffort``.

    Examples:
        >>> service_class({"containers": [{"resources": {"requests": {"cpu": "1"}}}]}), service_class({"containers": [{}]})
        ('Burstable', 'BestEffort')
    """
    requests, limits, bounded = dict[str, Amount](), dict[str, Amount](), True
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        for total, part in ((requests, "requests"), (limits, "limits")):
            stated = amounts(resources.get(part))
            add(total, {name: stated[name] for name in _OF_CLASSES if name in stated and stated[name].value > 0})
        stated = amounts(resources.get("limits"))
        bounded = bounded and all(name in stated and stated[name].value > 0 for name in _OF_CLASSES)
    if not requests and not limits:
        return "BestEffort"
    same = requests.keys() == limits.keys() and all(limits[name].value == asked.value for name, asked in requests.items())
    return "Guaranteed" if bounded and same else "Burstable"
