"""What the server itself writes into ``metadata``, and the rules of what clients may write there."""

from datetime import datetime

from kedge.errors import BadRequest, Cause, Invalid
from kedge.kube import names
from kedge.kube.clock import Ids, timestamp
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import FOREGROUND, ORPHAN

# Kinds whose names become DNS labels elsewhere.
_LABEL_NAMES = frozenset({"namespaces"})
_ANNOTATIONS_LIMIT = 256 << 10
_GENERATED_LENGTH = 58  # with the five characters of a suffix this is a label
_FINALIZERS_OF_SERVER = frozenset({FOREGROUND, ORPHAN})


def begin(kind: Kind, obj: Obj, namespace: str | None, now: datetime, ids: Ids) -> None:
    """Fill in the metadata of an object that is about to be created, in place.

    Raises:
        BadRequest: The object contradicts the request's namespace, or names a resourceVersion.
        Invalid: It has no name.
    """
    meta: Obj = obj["metadata"]
    _place(kind, meta, namespace)
    if meta.get("resourceVersion"):
        raise BadRequest("metadata.resourceVersion: must not be set on an object to be created. Remove it, or update instead.")
    for key in ("selfLink", "managedFields", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        meta.pop(key, None)
    if not meta.get("name"):
        prefix = meta.get("generateName")
        if not prefix:
            raise invalid(kind, "", [Cause("metadata.name", "is required: name or generateName", "FieldValueRequired")])
        meta["name"] = prefix[:_GENERATED_LENGTH] + ids.suffix(5)
    meta["uid"] = ids.uid()
    meta["creationTimestamp"] = timestamp(now)
    if "status" in kind.subresources:
        meta["generation"] = 1


def _place(kind: Kind, meta: Obj, namespace: str | None) -> None:
    given = meta.get("namespace")
    if not kind.namespaced:
        if given:
            raise BadRequest(f"metadata.namespace: {kind.plural} have no namespace, got {given!r}. Remove it.")
        meta.pop("namespace", None)
        return
    if namespace is None:
        namespace = given or "default"
    elif given and given != namespace:
        raise BadRequest(
            f"metadata.namespace: the object is of namespace {given!r}, the request of {namespace!r}. Make them the same."
        )
    meta["namespace"] = namespace


def carry(old: Obj, new: Obj) -> None:
    """Keep in an update what no client may change, in place."""
    before, after = old["metadata"], new["metadata"]
    for key in (
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "generateName",
    ):
        if key in before:
            after[key] = before[key]
        elif key != "generateName":
            after.pop(key, None)
    after.pop("selfLink", None)
    after.pop("managedFields", None)
    after.pop("resourceVersion", None)
    for key in ("labels", "annotations", "finalizers", "ownerReferences"):
        if not after.get(key):
            after.pop(key, None)


def faults(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    """Name each part of ``metadata`` that breaks a rule; what is stored already breaks none."""
    meta: Obj = obj["metadata"]
    if old is not None and meta == old["metadata"]:
        return []
    found: list[Cause] = []
    name: str = meta["name"]
    fault = names.label_fault(name) if kind.plural in _LABEL_NAMES and not kind.group else names.subdomain_fault(name)
    if fault:
        found.append(Cause("metadata.name", fault))
    if old is not None and old["metadata"]["name"] != name:
        found.append(Cause("metadata.name", f"may not be changed from {old['metadata']['name']!r}", "FieldValueForbidden"))
    for key, value in (meta.get("labels") or {}).items():
        if fault := names.qualified_fault(key):
            found.append(Cause("metadata.labels", f"key {fault}"))
        if fault := names.label_value_fault(value):
            found.append(Cause(f"metadata.labels[{key}]", fault))
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        size += len(key) + len(value)
        if fault := names.qualified_fault(key.lower()):
            found.append(Cause("metadata.annotations", f"key {fault}"))
    if size > _ANNOTATIONS_LIMIT:
        found.append(
            Cause("metadata.annotations", f"must be at most {_ANNOTATIONS_LIMIT} bytes together, got {size}", "FieldValueTooLong")
        )
    return found + _finalizer_faults(meta, old)


def _finalizer_faults(meta: Obj, old: Obj | None) -> list[Cause]:
    finalizers: list[str] = meta.get("finalizers") or []
    found = [
        Cause("metadata.finalizers", fault)
        for finalizer in finalizers
        if finalizer not in _FINALIZERS_OF_SERVER and (fault := names.qualified_fault(finalizer))
    ]
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = sorted(set(finalizers) - set(old["metadata"].get("finalizers") or ()))
        if added:
            message = f"no finalizer can be added to an object that is being deleted, got {', '.join(added)}"
            found.append(Cause("metadata.finalizers", message, "FieldValueForbidden"))
    if sum(1 for owner in meta.get("ownerReferences") or () if owner.get("controller")) > 1:
        found.append(Cause("metadata.ownerReferences", "only one owner may be the controller"))
    return found


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Invalid:
    """Make the error for an object that breaks rules: one sentence that names each field."""
    listed = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    error = Invalid(f"{qualified} {name!r} is invalid: {listed}".replace("''", '""'), causes=causes)
    error.name = name
    return error
