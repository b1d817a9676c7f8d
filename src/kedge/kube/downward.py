"""The rules of the downward API: which fields of a Pod its containers may be told, as variables and as files."""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names, quantities
from kedge.kube.kinds import Obj

_NAMES = ("metadata.name", "metadata.namespace", "metadata.uid")
AS_VARIABLES = (
    *_NAMES,
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
"""What ``valueFrom.fieldRef`` may name, besides one label or annotation."""
AS_FILES = (*_NAMES, "metadata.annotations", "metadata.labels")
"""What a file may hold, besides one label or annotation."""
ENTRY = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
"""The path of one label or annotation."""
_RESOURCE = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)")
_UNSUPPORTED = "FieldValueNotSupported"
_MISSING = "FieldValueRequired"
_SIZES = frozenset({"0", "1", *(f"1{letter}" for letter in "kMGTPE"), *(f"1{letter}i" for letter in "KMGTPE")})


def variable_faults(source: Obj, path: str) -> Iterator[Cause]:
    """Name what is wrong with ``valueFrom`` of a variable, as far as it is about the Pod itself."""
    yield from _field_faults(source.get("fieldRef"), f"{path}.fieldRef", AS_VARIABLES)
    yield from _resource_faults(source.get("resourceFieldRef"), f"{path}.resourceFieldRef")


def volume_faults(volume: Obj, path: str) -> Iterator[Cause]:
    """Name what is wrong with the files of a ``downwardAPI`` volume, or of such sources of a ``projected`` one."""
    yield from _file_faults(volume.get("downwardAPI"), f"{path}.downwardAPI")
    for index, source in enumerate(_listed(volume.get("projected"), "sources")):
        if isinstance(source, dict):
            yield from _file_faults(source.get("downwardAPI"), f"{path}.projected.sources[{index}].downwardAPI")


def _file_faults(downward: Any, path: str) -> Iterator[Cause]:
    for index, item in enumerate(_listed(downward, "items")):
        at = f"{path}.items[{index}]"
        if not isinstance(item, dict):
            continue
        name: Any = item.get("path")
        if not isinstance(name, str) or not name:
            yield Cause(f"{at}.path", "is required: the name of the file", _MISSING)
        elif name.startswith("/") or ".." in name.split("/"):
            yield Cause(f"{at}.path", f"must be a path inside the volume, got {name!r}")
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if (field is None) == (resource is None):
            yield Cause(at, "must have either fieldRef or resourceFieldRef", _MISSING)
        yield from _field_faults(field, f"{at}.fieldRef", AS_FILES)
        yield from _resource_faults(resource, f"{at}.resourceFieldRef", named=True)


def _listed(owner: Any, key: str) -> list[Any]:
    found: Any = owner.get(key) if isinstance(owner, dict) else None
    return found if isinstance(found, list) else []


def _field_faults(reference: Any, path: str, allowed: tuple[str, ...]) -> Iterator[Cause]:
    if not isinstance(reference, dict):
        return
    field: Any = reference.get("fieldPath")
    if not isinstance(field, str) or not field:
        yield Cause(f"{path}.fieldPath", "is required", _MISSING)
    elif (entry := ENTRY.fullmatch(field)) is not None:
        key = entry.group(2)
        if fault := names.qualified_fault(key.lower() if entry.group(1) == "annotations" else key):
            yield Cause(f"{path}.fieldPath", f"{key!r}: {fault}")
    elif field not in allowed:
        usable = ", ".join((*allowed, "metadata.labels['KEY']", "metadata.annotations['KEY']"))
        yield Cause(f"{path}.fieldPath", f"must be one of {usable}, got {field!r}", _UNSUPPORTED)


def _resource_faults(reference: Any, path: str, *, named: bool = False) -> Iterator[Cause]:
    if not isinstance(reference, dict):
        return
    if named and not reference.get("containerName"):
        yield Cause(f"{path}.containerName", "is required: whose resources the file tells", _MISSING)
    resource = str(reference.get("resource") or "")
    known = _RESOURCE.fullmatch(resource)
    if known is None:
        message = f"must be limits or requests of cpu, memory, ephemeral-storage or hugepages-SIZE, got {resource!r}"
        yield Cause(f"{path}.resource", message, _UNSUPPORTED)
    divisor = str(reference.get("divisor") or "0")
    allowed = {"0", "1", "1m"} if known is not None and known.group(2) == "cpu" else _SIZES
    if fault := quantities.fault(divisor):
        yield Cause(f"{path}.divisor", fault)
    elif divisor not in allowed:
        message = f"must be {' or '.join(sorted(allowed - {'0'}))}, got {divisor!r}"
        yield Cause(f"{path}.divisor", message, _UNSUPPORTED)
