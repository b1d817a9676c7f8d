"""The rules of the downward API: which fields of a Pod its containers may be told, as variables and as files."""

import re
from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.kinds import Obj
from kedge.kube.volume_paths import path_faults

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
# Labels of a Pod that have a meaning, and cannot be told in each place.
_KNOWN = frozenset({*AS_VARIABLES, *AS_FILES, "spec.restartPolicy", "spec.schedulerName", "spec.host", "status.phase"})
_PARTS = ("cpu", "ephemeral-storage", "memory")
_RESOURCES = tuple(f"{part}.{name}" for part in ("limits", "requests") for name in _PARTS)
_SIZES = ("1", *(f"1{letter}" for letter in "kMGTPE"), *(f"1{letter}i" for letter in "KMGTPE"))
_SUBSCRIPTED = re.compile(r"(.*)\['(.*)'\]")


def variable_faults(source: Obj, path: str) -> Iterator[Cause]:
    """Name what is wrong with ``valueFrom`` of a variable, as far as it is about the Pod itself."""
    yield from _field_faults(source.get("fieldRef"), f"{path}.fieldRef", AS_VARIABLES)
    yield from _resource_faults(source.get("resourceFieldRef"), f"{path}.resourceFieldRef")


def file_faults(item: Obj, path: str) -> Iterator[Cause]:
    """Name what is wrong with a file of a ``downwardAPI`` volume; which of the files, a real API server does not say either.

    Args:
        item: The file.
        path: Where the source stands.
    """
    yield from path_faults(f"{path}.path", item.get("path"))
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    yield from _field_faults(field, f"{path}.fieldRef", AS_FILES)
    if field is not None and resource is not None:
        yield faults.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif field is None and resource is None:
        yield faults.required(path, "one of fieldRef and resourceFieldRef is required")
    elif field is None:
        yield from _resource_faults(resource, f"{path}.resourceFieldRef", named=True)


def _field_faults(reference: Obj | None, path: str, allowed: tuple[str, ...]) -> Iterator[Cause]:
    if reference is None:
        return
    field = reference.get("fieldPath") or ""
    subscripted = _SUBSCRIPTED.fullmatch(field)
    if not field:
        yield faults.required(f"{path}.fieldPath")
    elif (entry := ENTRY.fullmatch(field)) is not None:
        key = entry.group(2)
        yield from faults.qualified(path, key.lower() if entry.group(1) == "annotations" else key)
    elif subscripted is not None or field not in _KNOWN:
        said = f"field label does not support subscript: {field}" if subscripted else f"field label not supported: {field}"
        yield faults.invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {said}")
    elif field not in allowed:
        yield faults.unsupported(f"{path}.fieldPath", field, sorted(allowed))


def _resource_faults(reference: Obj | None, path: str, *, named: bool = False) -> Iterator[Cause]:
    if reference is None:
        return
    resource = reference.get("resource") or ""
    huge = resource.startswith(("limits.hugepages-", "requests.hugepages-"))
    if named and not reference.get("containerName"):
        yield faults.required(f"{path}.containerName")
    elif not resource:
        yield faults.required(f"{path}.resource")
    elif resource not in _RESOURCES and not huge:
        yield faults.unsupported(f"{path}.resource", resource, _RESOURCES)
    yield from _divisor_faults(resource, str(reference.get("divisor") or "0"), f"{path}.divisor")


def _divisor_faults(resource: str, divisor: str, at: str) -> Iterator[Cause]:
    if fault := quantities.fault(divisor):
        yield faults.invalid(at, divisor, fault)
        return
    kind, written = resource.partition(".")[2], str(quantities.Amount.of(divisor))
    if written == "0" or not kind:
        return
    if kind == "cpu":
        if written not in {"1", "1m"}:
            yield faults.invalid(at, resource, "only divisor's values 1m and 1 are supported with the cpu resource")
    elif written not in _SIZES and divisor not in _SIZES:
        called = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
        yield faults.invalid(at, resource, f"only divisor's values {', '.join(_SIZES)} are supported with the {called} resource")
