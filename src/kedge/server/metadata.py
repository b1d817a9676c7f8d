"""What the server itself writes into ``metadata``, and the rules of what clients may write there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from kedge.errors import About, BadRequest, Cause, Invalid
from kedge.kube import faults as words
from kedge.kube.clock import Ids, timestamp
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import FOREGROUND, ORPHAN
from kedge.kube.schemas import METADATA
from kedge.server import schema

OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_ANNOTATIONS_LIMIT = 256 << 10
_STANDARD = frozenset({"kubernetes", FOREGROUND, ORPHAN})
_GENERATED_LENGTH = 58  # with the five characters of a suffix this is a label
_SERVERS = (
    "selfLink",
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


def begin(kind: Kind, obj: Obj, namespace: str | None, now: datetime, ids: Ids) -> None:
    """Fill in the metadata of an object that is about to be created, in place.

    Raises:
        BadRequest: The object contradicts the request's namespace, or names a resourceVersion.
        Invalid: It has no name.
    """
    meta: Obj = obj["metadata"]
    clear(kind, obj, namespace)
    if not meta.get("name"):
        prefix = meta.get("generateName")
        if not prefix:
            raise invalid(kind, "", [words.required("metadata.name", "name or generateName is required")])
        meta["name"] = prefix[:_GENERATED_LENGTH] + ids.suffix(5)
    meta["uid"] = ids.uid()
    meta["creationTimestamp"] = timestamp(now)
    if "status" in kind.subresources or kind.structural if kind.counted is None else kind.counted:
        meta["generation"] = 1


def clear(kind: Kind, obj: Obj, namespace: str | None) -> None:
    """Put an object that is about to be created into its namespace, and take out what only the server says, in place.

    Raises:
        BadRequest: The object contradicts the request's namespace, or names a resourceVersion.
    """
    meta: Obj = obj["metadata"]
    _place(kind, meta, namespace)
    if meta.get("resourceVersion"):
        raise BadRequest("metadata.resourceVersion: must not be set on an object to be created. Remove it, or update instead.")
    for key in _SERVERS:
        meta.pop(key, None)


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
        raise BadRequest(OTHER_NAMESPACE)
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


def unfit(meta: Any, unknown: list[str]) -> list[Cause]:
    """Name each part of ``metadata`` that has a wrong type; what is missing breaks a rule, and is told with `faults`.

    Args:
        meta: As it was sent, without nulls.
        unknown: Gets the path of each field that nobody knows.
    """
    found: list[Cause] = []
    schema.check(METADATA, meta, "metadata", found, unknown)
    return [each for each in found if each.reason != words.REQUIRED] if found else found


def faults(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    """Name each part of ``metadata`` that breaks a rule; what is stored already breaks none."""
    meta: Obj = obj["metadata"]
    if old is not None and meta == old["metadata"]:
        return []
    name: str = meta["name"]
    found = list(_prefix_faults(kind, prefix)) if old is None and (prefix := meta.get("generateName")) else list[Cause]()
    found += (kind.name_faults or words.subdomain)("metadata.name", name)
    if old is not None and old["metadata"]["name"] != name:
        found.append(words.invalid("metadata.name", name, "field is immutable"))
    annotations: Obj = meta.get("annotations") or {}
    found += words.labels("metadata.labels", meta.get("labels"))
    found += words.annotations("metadata.annotations", annotations)
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        found.append(words.too_long("metadata.annotations", _ANNOTATIONS_LIMIT))
    found += _owner_faults(meta.get("ownerReferences") or [])
    if finalizers := meta.get("finalizers"):
        found += _finalizer_faults(kind, finalizers, old["metadata"] if old is not None else {})
    return found


def _prefix_faults(kind: Kind, prefix: str) -> Iterator[Cause]:
    """Those of what a name begins with; a dash at its end is followed by something."""
    begun = f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
    for cause in (kind.name_faults or words.subdomain)("metadata.generateName", begun):
        yield replace(cause, message=cause.message.replace(words.shown(begun), words.shown(prefix), 1))


def _owner_faults(owners: list[Obj]) -> Iterator[Cause]:
    for owner in owners:
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                what = "version must" if key == "apiVersion" else "must"
                yield words.invalid(f"metadata.ownerReferences.{key}", "", f"{what} not be empty")
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            yield words.invalid("metadata.ownerReferences", owner, "/v1, Kind=Event is disallowed from being an owner")
    first, *more = [f"{owner.get('kind')}/{owner.get('name')}" for owner in owners if owner.get("controller")] or [""]
    for other in more:
        why = f'Only one reference can have Controller set to true. Found "true" in references for {first} and {other}'
        yield words.invalid("metadata.ownerReferences", owners, why)


def _finalizer_faults(kind: Kind, finalizers: list[str], old: Obj) -> Iterator[Cause]:
    is_kubernetes = "." not in kind.group or kind.group.endswith(".k8s.io")  # whose own kinds know what is standard
    for index, finalizer in enumerate(finalizers):
        if is_kubernetes and not kind.structural and "/" not in finalizer and finalizer not in _STANDARD:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield words.invalid(f"metadata.finalizers[{index}]", finalizer, why)
    for finalizer in finalizers:
        yield from words.qualified("metadata.finalizers", finalizer)
    if {FOREGROUND, ORPHAN} <= {*finalizers}:
        why = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        yield words.invalid("metadata.finalizers", finalizers, why)
    if old.get("deletionTimestamp") and (added := sorted({*finalizers} - {*(old.get("finalizers") or ())})):
        told = f"[]string{{{', '.join(map(words.shown, added))}}}"
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers {told}"
        yield words.forbidden("metadata.finalizers", why)


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Invalid:
    """Make the error for an object that breaks rules: one sentence that names each field."""
    listed = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    told = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    error = Invalid(f'{qualified} "{name}" is invalid: {told}', causes=causes)
    error.about = About(kind.kind, kind.group, name)
    return error
