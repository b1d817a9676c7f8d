"""What counts towards a ResourceQuota, and how much of it one object uses.

The names, scopes and words are those of Kubernetes' admission (https://kubernetes.io/docs/concepts/policy/resource-quotas/).
"""

from collections.abc import Iterator, Mapping

from kedge.kube import selectors
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_over
from kedge.kube.quantities import Amount
from kedge.kube.requests import Amounts, add, amounts, service_class, total_of
from kedge.kube.resource_quotas import COMPUTED

PODS, CLAIMS, SERVICES = "pods", "persistentvolumeclaims", "services"
_ONE = Amount.of(1)
_NAMED = frozenset({"configmaps", "resourcequotas", "replicationcontrollers", "secrets", PODS, CLAIMS, SERVICES})
_CLASS = ".storageclass.storage.k8s.io/"
# What each container has to state where it is counted; Kubernetes regrets it, and keeps it.
_STATED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_IGNORED = frozenset({"events", "events.events.k8s.io"})


def names_of(quota: Obj, resource: str) -> list[str]:
    """Which of a quota's names objects of a resource can count towards.

    Args:
        quota: The quota.
        resource: Such as ``pods`` or ``jobs.batch``.
    """
    return sorted(name for name in (quota["spec"].get("hard") or {}) if _concerns(name, resource))


def _concerns(name: str, resource: str) -> bool:
    if name == f"count/{resource}" or (name == resource and resource in _NAMED):
        return resource not in _IGNORED
    if resource == PODS:
        plain = name.removeprefix("requests.").removeprefix("limits.")
        extended = name.startswith("requests.") and "/" in name
        return plain in COMPUTED or "hugepages-" in name or (extended and _CLASS not in name)
    if resource == CLAIMS:
        return name == "requests.storage" or _CLASS in name
    return resource == SERVICES and name in {"services.nodeports", "services.loadbalancers"}


def resources_of(quota: Obj) -> set[str]:
    """The resources whose objects can count towards a quota."""
    counted = {name.removeprefix("count/") for name in (quota["spec"].get("hard") or {}) if name.startswith("count/")}
    return {resource for resource in {*counted, *_NAMED} if names_of(quota, resource)}


def usage(quota: Obj, resource: str, obj: Obj) -> dict[str, Amount]:
    """How much an object uses of what a quota limits; nothing where the quota is not about it."""
    if not is_about(quota, resource, obj):
        return {}
    used = {f"count/{resource}": _ONE, **_more(resource, obj)}
    return {name: used[name] for name in names_of(quota, resource) if name in used and used[name].value}


def _more(resource: str, obj: Obj) -> Amounts:
    if resource == PODS:
        return {} if is_over(obj) else _of_pod(total_of(obj["spec"], "requests"), total_of(obj["spec"], "limits"))
    if resource == CLAIMS:
        return _of_claim(obj)
    if resource == SERVICES:
        return _of_service(obj["spec"])
    return {resource: _ONE}


def _of_pod(requests: Amounts, limits: Amounts) -> Amounts:
    used = {PODS: _ONE}
    for name, amount in requests.items():
        if name in COMPUTED or name.startswith("hugepages-"):
            used[name] = amount
        used[f"requests.{name}"] = amount
    return used | {f"limits.{name}": amount for name, amount in limits.items() if name in COMPUTED}


def _of_claim(claim: Obj) -> Amounts:
    spec = claim["spec"]
    used = {CLAIMS: _ONE}
    if storage := amounts((spec.get("resources") or {}).get("requests")).get("storage"):
        used["requests.storage"] = storage
    if class_ := spec.get("storageClassName"):
        used |= {f"{class_}{_CLASS}{name}": amount for name, amount in list(used.items())}
    return used


def _of_service(spec: Obj) -> Amounts:
    used, ports = {SERVICES: _ONE}, spec.get("ports") or []
    if spec.get("type") == "LoadBalancer":
        used["services.loadbalancers"] = _ONE
        if not spec.get("allocateLoadBalancerNodePorts", True):
            ports = [port for port in ports if port.get("nodePort")]
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        used["services.nodeports"] = Amount.of(len(ports))
    return used


# -- scopes -------------------------------------------------------------------------------------------------------------


def is_about(quota: Obj, resource: str, obj: Obj) -> bool:
    """Whether a quota's scopes take in an object. Only Pods have any."""
    spec = quota["spec"]
    wanted = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return all(resource == PODS and _matches(each, obj) for each in wanted)


def _matches(requirement: Obj, pod: Obj) -> bool:
    scope, spec = requirement["scopeName"], pod["spec"]
    if scope in {"Terminating", "NotTerminating"}:
        return (spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating")
    if scope in {"BestEffort", "NotBestEffort"}:
        return (service_class(spec) == "BestEffort") == (scope == "BestEffort")
    if scope == "PriorityClass":
        name = spec.get("priorityClassName")
        expression = {"key": scope, "operator": requirement.get("operator"), "values": requirement.get("values") or []}
        labelled = {"metadata": {"labels": {scope: name} if name else {}}}
        return selectors.label_predicate(selectors.from_label_selector({"matchExpressions": [expression]}))(labelled)
    return scope == "CrossNamespacePodAffinity" and any(_crosses(term) for term in _terms(spec.get("affinity") or {}))


def _terms(affinity: Obj) -> Iterator[Obj]:
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for each in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield each.get("podAffinityTerm") or {}


def _crosses(term: Obj) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None


# -- verdicts -----------------------------------------------------------------------------------------------------------


def unstated(quota: Obj, pod: Obj) -> str:
    """What the containers of a Pod leave out that a quota counts, in words; ``""`` for nothing."""
    required = _STATED & set(names_of(quota, PODS))
    missing: dict[str, set[str]] = {}
    for container in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())):
        resources = container.get("resources") or {}
        stated = _of_pod(amounts(resources.get("requests")), amounts(resources.get("limits")))
        for name in required - stated.keys():
            missing.setdefault(name, set()).add(container["name"])
    told = [f"{name} for: {','.join(sorted(containers))}" for name, containers in sorted(missing.items())]
    return f"must specify {'; '.join(told)}" if told else ""


def exceeded(quota: Obj, used: Amounts, asked: Amounts) -> str:
    """What is too much, in words; ``""`` where all has room.

    Args:
        quota: The quota.
        used: What is used of it.
        asked: What would be used in addition.
    """
    hard = amounts(quota["spec"].get("hard"))
    nothing = Amount.of(0)
    over = [
        name
        for name, amount in asked.items()
        if amount.value > 0 and used.get(name, nothing).value + amount.value > hard[name].value
    ]
    if not over:
        return ""
    shown = [",".join(f"{name}={held.get(name, nothing)}" for name in sorted(over)) for held in (asked, used, hard)]
    return f"exceeded quota: {quota['metadata']['name']}, requested: {shown[0]}, used: {shown[1]}, limited: {shown[2]}"


def added(used: Amounts, more: Amounts, *, less: Amounts) -> dict[str, Amount]:
    """What is used when some of it comes and some goes."""
    total = dict(used)
    add(total, more)
    add(total, {name: -amount for name, amount in less.items()})
    return total


def counted(quota: Obj, used: Mapping[str, Amount]) -> Obj:
    """The status of a quota."""
    hard: Obj = quota["spec"].get("hard") or {}
    nothing = Amount.of(0)
    return {"hard": hard, "used": {name: str(used.get(name, nothing)) for name in sorted(hard)}}
