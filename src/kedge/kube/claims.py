"""What a PersistentVolumeClaim is: its defaults and its rules, as a real API server has them."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names, quantities
from kedge.kube.kinds import Obj

ONE_POD = "ReadWriteOncePod"
ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", ONE_POD)
_VOLUME_MODES = ("Filesystem", "Block")
_REQUIRED = "FieldValueRequired"
_UNSUPPORTED = "FieldValueNotSupported"
_FORBIDDEN = "FieldValueForbidden"
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
    spec = claim.get("spec")
    if not isinstance(spec, dict):
        message = "is required: it says how much is asked for (resources.requests.storage) and how it is shared (accessModes)"
        return [Cause("spec", message, _REQUIRED)]
    if old is not None and spec == old.get("spec"):
        return []
    causes = list(spec_faults(spec, "spec"))
    if old is not None and not causes:
        causes = list(_change_faults(spec, old))
    return causes


def spec_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the spec of a claim, or of a template of claims.

    Args:
        spec: The spec.
        path: Where it stands.
    """
    modes = spec.get("accessModes") or []
    if not modes:
        yield Cause(f"{path}.accessModes", f"at least 1 access mode is required: {', '.join(ACCESS_MODES)}", _REQUIRED)
    for index, mode in enumerate(modes):
        if mode not in ACCESS_MODES:
            yield Cause(f"{path}.accessModes[{index}]", f"must be {' or '.join(ACCESS_MODES)}, got {mode!r}", _UNSUPPORTED)
    if ONE_POD in modes and len(modes) > 1:
        yield Cause(f"{path}.accessModes", f"may not use {ONE_POD} with other access modes", _FORBIDDEN)
    if spec.get("volumeMode") not in {None, *_VOLUME_MODES}:
        message = f"must be {' or '.join(_VOLUME_MODES)}, got {spec['volumeMode']!r}"
        yield Cause(f"{path}.volumeMode", message, _UNSUPPORTED)
    if (name := spec.get("storageClassName")) and (fault := names.subdomain_fault(name)):
        yield Cause(f"{path}.storageClassName", fault)
    yield from _size_faults(spec.get("resources") or {}, f"{path}.resources")


def _size_faults(resources: Obj, path: str) -> Iterator[Cause]:
    requests = resources.get("requests") or {}
    if "storage" not in requests:
        yield Cause(f"{path}.requests[storage]", "is required, such as 1Gi", _REQUIRED)
    for part in ("requests", "limits"):
        for name, value in (resources.get(part) or {}).items():
            if fault := quantities.fault(value):
                yield Cause(f"{path}.{part}[{name}]", fault)
            elif name == "storage" and quantities.parse(value) <= 0:
                yield Cause(f"{path}.{part}[{name}]", f"must be greater than zero, got {value}")


def _change_faults(new: Obj, old_claim: Obj) -> Iterator[Cause]:
    old = old_claim.get("spec") or {}
    bound = (old_claim.get("status") or {}).get("phase") == "Bound"
    for key in sorted({*new, *old} - {"resources"}):
        if new.get(key) != old.get(key) and not (key in _SET_ONCE and old.get(key) is None):
            message = "is immutable after creation; only resources.requests.storage of a bound claim may grow. "
            yield Cause(f"spec.{key}", f"{message}Delete the claim and create it anew", _FORBIDDEN)
    path = "spec.resources.requests[storage]"
    before, after = _asked(old), _asked(new)
    if quantities.parse(after) < quantities.parse(before):
        yield Cause(path, f"can not be less than before, {before}, got {after}", _FORBIDDEN)
    elif not bound and quantities.parse(after) != quantities.parse(before):
        yield Cause(path, "may grow only when the claim is bound", _FORBIDDEN)


def _asked(spec: Obj) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage") or 0
