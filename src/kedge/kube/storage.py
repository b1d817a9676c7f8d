"""PersistentVolume and StorageClass, with Kubernetes' defaults, rules and columns."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults, quantities
from kedge.kube.claims import ACCESS_MODES, VOLUME_MODES
from kedge.kube.columns import access_modes, tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

PROTECTION = "kubernetes.io/pv-protection"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_RECLAIMS = ("Delete", "Recycle", "Retain")
_CLASS_RECLAIMS = ("Delete", "Retain")
LATER = "WaitForFirstConsumer"
_BINDINGS = ("Immediate", LATER)
# What of a volume's spec is no source of it.
_NO_SOURCE = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


def _default_volume(volume: Obj) -> None:
    spec = volume.setdefault("spec", {})
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    if isinstance(path := spec.get("hostPath"), dict):
        path.setdefault("type", "")
    volume["status"] = {"phase": "Pending", **(volume.get("status") or {})}
    if not volume["metadata"].get("deletionTimestamp"):
        finalizers = volume["metadata"].get("finalizers") or []
        volume["metadata"]["finalizers"] = finalizers if PROTECTION in finalizers else [*finalizers, PROTECTION]


def _validate_volume(volume: Obj, old: Obj | None) -> list[Cause]:
    spec = volume.get("spec") or {}
    found = list(_volume_faults(spec))
    if old is not None and _source(spec) != _source(old.get("spec") or {}):
        message = "spec.persistentvolumesource is immutable after creation"
        found.append(faults.forbidden("spec.persistentvolumesource", message))
    return found


def _source(spec: Obj) -> Obj:
    return {key: value for key, value in spec.items() if key not in _NO_SOURCE}


def _volume_faults(spec: Obj) -> Iterator[Cause]:
    if not spec.get("accessModes"):
        yield faults.required("spec.accessModes")
    for mode in spec.get("accessModes") or ():
        if mode not in ACCESS_MODES:
            yield faults.unsupported("spec.accessModes", mode, ACCESS_MODES)
    capacity = spec.get("capacity")
    if not capacity:
        yield faults.required("spec.capacity")
    if set(capacity or ()) != {"storage"}:
        yield faults.unsupported("spec.capacity", capacity, ("storage",))
    else:
        yield from _size_faults((capacity or {})["storage"])
    sources = sorted(_source(spec))
    if not sources:
        yield faults.required("spec", "must specify a volume type")
    for extra in sources[1:]:
        yield faults.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if "local" in sources and not spec.get("nodeAffinity"):
        yield faults.required("spec.nodeAffinity", "Local volume requires node affinity")
    yield from faults.one_of(spec, "persistentVolumeReclaimPolicy", "spec", _RECLAIMS)
    yield from faults.one_of(spec, "volumeMode", "spec", VOLUME_MODES)
    if name := spec.get("storageClassName"):
        yield from faults.subdomain("spec.storageClassName", name)


def _size_faults(size: Any) -> Iterator[Cause]:
    if quantities.fault(size) or quantities.parse(size) <= 0:
        yield faults.invalid("spec.capacity[storage]", size, "must be greater than zero")


def _default_class(class_: Obj) -> None:
    class_["reclaimPolicy"] = class_.get("reclaimPolicy") or "Delete"
    class_["volumeBindingMode"] = class_.get("volumeBindingMode") or "Immediate"


def _validate_class(class_: Obj, old: Obj | None) -> list[Cause]:
    found: list[Cause] = []
    if provisioner := class_.get("provisioner"):
        found += faults.qualified("provisioner", provisioner)
    else:
        found.append(faults.required("provisioner"))
    found += faults.one_of(class_, "reclaimPolicy", "", _CLASS_RECLAIMS)
    found += faults.one_of(class_, "volumeBindingMode", "", _BINDINGS)
    for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if old is not None and (class_.get(key) or None) != (old.get(key) or None):
            found.append(faults.forbidden(key, f"updates to {key} are forbidden."))
    return found


def _spec(volume: Obj) -> Obj:
    return volume.get("spec") or {}


def _claim(volume: Obj) -> str:
    reference = _spec(volume).get("claimRef")
    return f"{reference.get('namespace') or ''}/{reference.get('name') or ''}" if reference else ""


def _status(volume: Obj) -> str:
    leaving = volume["metadata"].get("deletionTimestamp")
    return "Terminating" if leaving else (volume.get("status") or {}).get("phase") or ""


def _class_name(class_: Obj) -> str:
    annotations = class_["metadata"].get("annotations") or {}
    return class_["metadata"]["name"] + (" (default)" if annotations.get(DEFAULT_CLASS) == "true" else "")


PERSISTENT_VOLUME = Kind(
    "PersistentVolume",
    "persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("PersistentVolume"),
    default=_default_volume,
    validate=_validate_volume,
    columns=tolerant(
        Column("Capacity", lambda obj: (_spec(obj).get("capacity") or {}).get("storage"), description="How much it holds."),
        Column("Access Modes", lambda obj: access_modes(_spec(obj).get("accessModes")), description="How it may be shared."),
        Column("Reclaim Policy", lambda obj: _spec(obj).get("persistentVolumeReclaimPolicy"), description="What comes after."),
        Column("Status", _status, description="Available, Bound, Released or Failed."),
        Column("Claim", _claim, description="What it is bound to."),
        Column("StorageClass", lambda obj: _spec(obj).get("storageClassName") or "", description="Its class."),
        Column(
            "VolumeAttributesClass",
            lambda obj: _spec(obj).get("volumeAttributesClassName") or "<unset>",
            description="Not used here.",
        ),
        Column("Reason", lambda obj: (obj.get("status") or {}).get("reason") or "", description="Why it is as it is."),
        Column("VolumeMode", lambda obj: _spec(obj).get("volumeMode"), priority=1, description="Filesystem or Block."),
    ),
)
STORAGE_CLASS = Kind(
    "StorageClass",
    "storageclasses",
    group="storage.k8s.io",
    namespaced=False,
    short_names=("sc",),
    schema=CoreSchema("StorageClass"),
    default=_default_class,
    validate=_validate_class,
    columns=tolerant(
        Column("Name", _class_name, description="Its name, and whether it is the default."),
        Column("Provisioner", lambda obj: obj.get("provisioner"), description="Who makes its volumes."),
        Column("ReclaimPolicy", lambda obj: obj.get("reclaimPolicy"), description="What becomes of them."),
        Column("VolumeBindingMode", lambda obj: obj.get("volumeBindingMode"), description="When they are made."),
        Column("AllowVolumeExpansion", lambda obj: bool(obj.get("allowVolumeExpansion")), description="Whether they may grow."),
    ),
)
KINDS = (PERSISTENT_VOLUME, STORAGE_CLASS)
