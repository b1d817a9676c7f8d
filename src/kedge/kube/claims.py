"""What a PersistentVolumeClaim is: its defaults and its rules, as a real API server has them."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.kinds import Obj

ONE_POD = "ReadWriteOncePod"
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", ONE_POD)
VOLUME_MODES = ("Block", "Filesystem")
_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
# What a claim without these is given later: once there, they stay.
_SET_ONCE = frozenset({"volumeName", "storageClassName"})


def default_claim(claim: Obj) -> None:
    """Fill in what a real API server fills in; the class is a matter of the host."""
    spec = claim.get("spec")
    if isinstance(spec, dict):
        spec.setdefault("volumeMode", "Filesystem")
    if not (claim.get("status") or {}).get("phase"):
        claim["status"] = {**(claim.get("status") or {}), "phase": "Pending"}


def validate_claim(claim: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec = claim.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return []
    found = list(spec_faults(spec, "spec"))
    return found if old is None else [*found, *_change_faults(spec, old)]


def spec_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the spec of a claim, or of a template of claims.

    Args:
        spec: The spec.
        path: Where it stands.
    """
    modes = spec.get("accessModes") or []
    if not modes:
        yield faults.required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from faults.selector(f"{path}.selector", spec.get("selector"))
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield faults.unsupported(f"{path}.accessModes", mode, ACCESS_MODES)
    if ONE_POD in modes and {*modes} & {*ACCESS_MODES} - {ONE_POD}:
        yield faults.forbidden(f"{path}.accessModes", f"may not use {ONE_POD} with other access modes")
    yield from _size_faults((spec.get("resources") or {}).get("requests") or {}, f"{path}.resources[storage]")
    if name := spec.get("storageClassName"):
        yield from faults.subdomain(f"{path}.storageClassName", name)
    yield from faults.one_of(spec, "volumeMode", path, VOLUME_MODES)


def _size_faults(requests: Obj, field: str) -> Iterator[Cause]:
    if (size := requests.get("storage")) is None:
        yield faults.required(field)
    elif why := quantities.unreadable(size):
        yield faults.invalid(field, size, why)
    elif quantities.parse(size) <= 0:
        yield faults.invalid(field, str(size), "must be greater than zero")


def _change_faults(new: Obj, old_claim: Obj) -> Iterator[Cause]:
    old, status = old_claim.get("spec") or {}, old_claim.get("status") or {}
    bound = status.get("phase") == "Bound"
    before, after = _fixed(old, bound=bound), _fixed(new, bound=bound)
    before |= {key: after.get(key) for key in _SET_ONCE if old.get(key) is None}
    if changed := [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]:
        told = "\n".join(f"{key}: {faults.shown(before.get(key))} became {faults.shown(after.get(key))}" for key in changed)
        yield faults.forbidden("spec", f"{_IMMUTABLE}\n{told}")
    size = quantities.parse(_asked(new))
    if size < quantities.parse(_asked(old)) and size <= quantities.parse((status.get("capacity") or {}).get("storage") or 0):
        yield faults.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if new.get("volumeMode") != old.get("volumeMode"):
        yield faults.invalid("volumeMode", new.get("volumeMode"), "field is immutable")


def _fixed(spec: Obj, *, bound: bool) -> Obj:
    """A spec without what of it may change: the size and the class of attributes, once it is bound."""
    if not bound:
        return {**spec}
    resources: Obj = spec.get("resources") or {}
    asked = {name: value for name, value in (resources.get("requests") or {}).items() if name != "storage"}
    return {**spec, "resources": {**resources, "requests": asked}, "volumeAttributesClassName": None}


def _asked(spec: Obj) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage") or 0
