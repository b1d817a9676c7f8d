"""What a LimitRange does to Pods and claims: it fills in what containers leave out, and bounds what they ask for.

The rules and their words are those of Kubernetes' admission (https://kubernetes.io/docs/concepts/policy/limit-range/).
"""

from collections.abc import Iterator

from kedge.kube.kinds import Obj
from kedge.kube.metadata import annotations_of
from kedge.kube.quantities import Amount
from kedge.kube.requests import Amounts, amounts, total_of

ANNOTATION = "kubernetes.io/limit-ranger"
_PARTS = (("requests", "defaultRequest"), ("limits", "default"))


def _limits(range_: Obj, type_: str) -> Iterator[Obj]:
    for limit in (range_.get("spec") or {}).get("limits") or ():
        if limit.get("type") == type_:
            yield limit


def fill_in(range_: Obj, pod: Obj) -> bool:
    """Give containers the requests and limits that they leave out, in place, and say so in an annotation.

    Args:
        range_: The LimitRange.
        pod: The Pod.

    Returns:
        Whether there was anything to fill in.
    """
    told: list[str] = []
    for key, word in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(key) or ():
            for part, source in _PARTS:
                given = _given(range_, container, part, source)
                if given:
                    told.append(f"{', '.join(given)} {part[:-1]} for {word} {container['name']}")
    if told:
        notes = {**annotations_of(pod), ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}
        pod["metadata"]["annotations"] = notes
    return bool(told)


def _given(range_: Obj, container: Obj, part: str, source: str) -> list[str]:
    found = {name: value for limit in _limits(range_, "Container") for name, value in (limit.get(source) or {}).items()}
    stated = container.setdefault("resources", {}).setdefault(part, {})
    missing = sorted(found.keys() - stated.keys())
    stated |= {name: found[name] for name in missing}
    if not stated:
        del container["resources"][part]
    return missing


def pod_faults(range_: Obj, pod: Obj) -> list[str]:
    """Which bounds of a LimitRange a Pod breaks."""
    spec = pod["spec"]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    found: list[str] = []
    for limit in _limits(range_, "Container"):
        for container in containers:
            resources = container.get("resources") or {}
            found += _bounds(limit, amounts(resources.get("requests")), amounts(resources.get("limits")))
    for limit in _limits(range_, "Pod"):
        found += _bounds(limit, total_of(spec, "requests"), total_of(spec, "limits"))
    return found


def claim_faults(range_: Obj, claim: Obj) -> list[str]:
    """Which bounds of a LimitRange a claim breaks."""
    asked = amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    found: list[str] = []
    for limit in _limits(range_, "PersistentVolumeClaim"):
        for name, least in _sorted(limit, "min"):
            found += _least(limit, name, least, asked.get(name), None)
        for name, most in _sorted(limit, "max"):
            found += _most_asked(limit, name, most, asked.get(name))
    return found


def _bounds(limit: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in _sorted(limit, "min"):
        yield from _least(limit, name, least, requests.get(name), limits.get(name))
    for name, most in _sorted(limit, "max"):
        yield from _most(limit, name, most, requests.get(name), limits.get(name))
    for name, most in _sorted(limit, "maxLimitRequestRatio"):
        yield from _ratio(limit, name, most, (requests.get(name), limits.get(name)))


def _sorted(limit: Obj, part: str) -> list[tuple[str, Amount]]:
    return sorted(amounts(limit.get(part)).items())


def _least(limit: Obj, name: str, least: Amount, asked: Amount | None, most: Amount | None) -> Iterator[str]:
    said = f"minimum {name} usage per {limit['type']} is {least}"
    if asked is None:
        yield f"{said}.  No request is specified"
    elif asked.value < least.value:
        yield f"{said}, but request is {asked}"
    elif most is not None and most.value < least.value:
        yield f"{said}, but limit is {most}"


def _most_asked(limit: Obj, name: str, most: Amount, asked: Amount | None) -> Iterator[str]:
    said = f"maximum {name} usage per {limit['type']} is {most}"
    if asked is None:
        yield f"{said}.  No request is specified"
    elif asked.value > most.value:
        yield f"{said}, but request is {asked}"


def _most(limit: Obj, name: str, most: Amount, asked: Amount | None, allowed: Amount | None) -> Iterator[str]:
    said = f"maximum {name} usage per {limit['type']} is {most}"
    if allowed is None:
        yield f"{said}.  No limit is specified"
    elif allowed.value > most.value:
        yield f"{said}, but limit is {allowed}"
    elif asked is not None and asked.value > most.value:
        yield f"{said}, but request is {asked}"


def _ratio(limit: Obj, name: str, most: Amount, found: tuple[Amount | None, Amount | None]) -> Iterator[str]:
    said, (asked, allowed) = f"{name} max limit to request ratio per {limit['type']} is {most}", found
    if asked is None or not asked.value:
        yield f"{said}, but no request is specified or request is 0"
    elif allowed is None or not allowed.value:
        yield f"{said}, but no limit is specified or limit is 0"
    elif allowed.value / asked.value > most.value:
        yield f"{said}, but provided ratio is {float(allowed.value / asked.value):f}"
