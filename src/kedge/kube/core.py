"""The kinds that every host serves: a new one is one entry here (a feature's own kinds stand in the feature).

Each entry names what the server needs to route, default, check and print the kind. What the larger ones need stands beside this
file: `pods` and `claims` (rules), `columns` (``kubectl get``), `schemas` (OpenAPI).
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import columns
from kedge.kube.claims import default_claim, validate_claim
from kedge.kube.kinds import Kind, Obj
from kedge.kube.placement import validate_node
from kedge.kube.pods import METADATA_KEYS, POD_KEYS, default_pod, validate_pod
from kedge.kube.schemas import CoreSchema

_DATA_LIMIT = 1 << 20  # as a real API server: what is larger is an artifact, not configuration
_CREATE_ONLY = ("create",)


def _default_namespace(namespace: Obj) -> None:
    spec = namespace.setdefault("spec", {})
    spec.setdefault("finalizers", ["kubernetes"])
    status = namespace.setdefault("status", {})
    status.setdefault("phase", "Active")
    # Selectors find a namespace by its name through this label, on every host.
    labels = namespace.setdefault("metadata", {}).setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = namespace["metadata"].get("name", "")


def _default_secret(secret: Obj) -> None:
    texts = secret.pop("stringData", None)
    if isinstance(texts, dict):
        data = secret.setdefault("data", {})
        for key, text in texts.items():
            data[key] = base64.b64encode(str(text).encode()).decode()
    secret.setdefault("type", "Opaque")


def _default_event(event: Obj) -> None:
    event.setdefault("type", "Normal")
    event.setdefault("source", {})


def _texts(obj: Obj, key: str) -> Iterator[Cause | int]:
    """Faults of a map of texts, and the sizes of those that are right."""
    entries = obj.get(key)
    if entries is None:
        return
    if not isinstance(entries, dict):
        yield Cause(key, f"must be an object, got {type(entries).__name__}", "FieldValueTypeInvalid")
        return
    for name, value in entries.items():
        if not isinstance(value, str):
            yield Cause(f"{key}[{name}]", f"must be a string, got {value!r}: put it in quotes", "FieldValueTypeInvalid")
        else:
            yield len(value)


def _bytes(obj: Obj, key: str) -> Iterator[Cause | int]:
    for name, found in zip(obj.get(key) or (), _texts(obj, key), strict=False):
        yield found
        if isinstance(found, int) and not _is_base64(obj[key][name]):
            yield Cause(f"{key}[{name}]", "must be base64. Use stringData for plain text of a Secret, data of a ConfigMap")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _data_faults(found: list[Cause | int], new: Obj, old: Obj | None, keys: tuple[str, ...]) -> list[Cause]:
    causes = [fault for fault in found if isinstance(fault, Cause)]
    size = sum(size for size in found if isinstance(size, int))
    if size > _DATA_LIMIT:
        causes.append(Cause("data", f"must be at most {_DATA_LIMIT} bytes together, got {size}", "FieldValueTooLong"))
    if old is not None and old.get("immutable"):
        changed = [key for key in (*keys, "immutable") if (new.get(key) or None) != (old.get(key) or None)]
        message = "may not be changed: the object is immutable. Delete it and create it anew"
        causes += [Cause(key, message, "FieldValueForbidden") for key in changed]
    return causes


def _validate_config_map(new: Obj, old: Obj | None) -> list[Cause]:
    found = [*_texts(new, "data"), *_bytes(new, "binaryData")]
    causes = _data_faults(found, new, old, ("data", "binaryData"))
    both = sorted(set(_keys(new, "data")) & set(_keys(new, "binaryData")))
    return causes + [Cause(f"binaryData[{key}]", "is also in data; keep one", "FieldValueDuplicate") for key in both]


def _validate_secret(new: Obj, old: Obj | None) -> list[Cause]:
    causes = _data_faults([*_bytes(new, "data")], new, old, ("data",))
    if old is not None and new.get("type") != old.get("type"):
        causes.append(Cause("type", f"may not be changed from {old.get('type')!r}", "FieldValueForbidden"))
    return causes


def _keys(obj: Obj, key: str) -> Any:
    return obj.get(key) or {}


def _validate_event(new: Obj, old: Obj | None) -> list[Cause]:
    del old
    target = new.get("involvedObject")
    if not isinstance(target, dict):
        return [Cause("involvedObject", "is required: it names what the event is about", "FieldValueRequired")]
    space = new.get("metadata", {}).get("namespace")
    if target.get("namespace", "") not in {space, ""}:
        return [Cause("involvedObject.namespace", f"must be the event's own, {space!r}, got {target['namespace']!r}")]
    return []


NAMESPACE = Kind(
    "Namespace",
    "namespaces",
    namespaced=False,
    short_names=("ns",),
    subresources=("status", "finalize"),
    schema=CoreSchema("Namespace"),
    merge_keys={**METADATA_KEYS, "status.conditions": "type"},
    field_selectors=("status.phase",),
    default=_default_namespace,
    columns=columns.NAMESPACE,
)
POD = Kind(
    "Pod",
    "pods",
    short_names=("po",),
    categories=("all",),
    subresources=("status", "log"),
    schema=CoreSchema("Pod"),
    merge_keys=POD_KEYS,
    field_selectors=(
        "status.phase",
        "status.podIP",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
    ),
    default=default_pod,
    validate=validate_pod,
    columns=columns.POD,
)
CONFIG_MAP = Kind(
    "ConfigMap",
    "configmaps",
    short_names=("cm",),
    schema=CoreSchema("ConfigMap"),
    merge_keys=METADATA_KEYS,
    validate=_validate_config_map,
    columns=columns.CONFIG_MAP,
)
SECRET = Kind(
    "Secret",
    "secrets",
    schema=CoreSchema("Secret"),
    merge_keys=METADATA_KEYS,
    field_selectors=("type",),
    default=_default_secret,
    validate=_validate_secret,
    columns=columns.SECRET,
)
SERVICE_ACCOUNT = Kind(
    "ServiceAccount",
    "serviceaccounts",
    short_names=("sa",),
    subresources=("token",),
    schema=CoreSchema("ServiceAccount"),
    merge_keys={**METADATA_KEYS, "secrets": "name"},
    columns=columns.SERVICE_ACCOUNT,
)
EVENT = Kind(
    "Event",
    "events",
    short_names=("ev",),
    schema=CoreSchema("Event"),
    merge_keys=METADATA_KEYS,
    field_selectors=(
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    default=_default_event,
    validate=_validate_event,
    columns=columns.EVENT,
)
LEASE = Kind(
    "Lease", "leases", group="coordination.k8s.io", schema=CoreSchema("Lease"), merge_keys=METADATA_KEYS, columns=columns.LEASE
)
NODE = Kind(
    "Node",
    "nodes",
    namespaced=False,
    short_names=("no",),
    subresources=("status",),
    schema=CoreSchema("Node"),
    merge_keys={**METADATA_KEYS, "status.conditions": "type", "status.addresses": "type"},
    field_selectors=("spec.unschedulable",),
    validate=validate_node,
    columns=columns.NODE,
)
PERSISTENT_VOLUME_CLAIM = Kind(
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    short_names=("pvc",),
    subresources=("status",),
    schema=CoreSchema("PersistentVolumeClaim"),
    merge_keys={**METADATA_KEYS, "status.conditions": "type"},
    default=default_claim,
    validate=validate_claim,
    columns=columns.PERSISTENT_VOLUME_CLAIM,
)
TOKEN_REVIEW = Kind(
    "TokenReview",
    "tokenreviews",
    group="authentication.k8s.io",
    namespaced=False,
    verbs=_CREATE_ONLY,
    schema=CoreSchema("TokenReview"),
)
SELF_SUBJECT_REVIEW = Kind(
    "SelfSubjectReview",
    "selfsubjectreviews",
    group="authentication.k8s.io",
    namespaced=False,
    verbs=_CREATE_ONLY,
    schema=CoreSchema("SelfSubjectReview"),
)
SELF_SUBJECT_ACCESS_REVIEW = Kind(
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    group="authorization.k8s.io",
    namespaced=False,
    verbs=_CREATE_ONLY,
    schema=CoreSchema("SelfSubjectAccessReview"),
)
SELF_SUBJECT_RULES_REVIEW = Kind(
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    group="authorization.k8s.io",
    namespaced=False,
    verbs=_CREATE_ONLY,
    schema=CoreSchema("SelfSubjectRulesReview"),
)

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    POD,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT,
    LEASE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    TOKEN_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
)
