"""Owners, finalizers and keys: small questions about ``metadata``, and changes that return a new object."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kedge.kube.kinds import Kind, Obj

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
INSTALLED_LABEL = "kedge.dev/installed"
"""On every object of an installation of Kedge: the namespace of its hub. Pipelines are kept away from what bears it."""


class Key(NamedTuple):
    """What names an object of a kind; ``namespace`` is ``""`` for cluster-wide ones.

    Examples:
        >>> str(Key("team-a", "run-1"))
        'team-a/run-1'
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Obj) -> Key:
    """The key of an object."""
    meta = obj["metadata"]
    return Key(meta.get("namespace") or "", meta["name"])


def uid_of(obj: Obj) -> str:
    """``metadata.uid``, or ``""`` for an object that was never stored."""
    return obj.get("metadata", {}).get("uid") or ""


def labels_of(obj: Obj) -> Mapping[str, str]:
    """The labels; empty when there are none."""
    return obj.get("metadata", {}).get("labels") or {}


def annotations_of(obj: Obj) -> Mapping[str, str]:
    """The annotations; empty when there are none."""
    return obj.get("metadata", {}).get("annotations") or {}


def owners(obj: Obj) -> list[Obj]:
    """The owner references."""
    return obj.get("metadata", {}).get("ownerReferences") or []


def controller(obj: Obj) -> Obj | None:
    """The owner that manages the object, or ``None``."""
    return next((owner for owner in owners(obj) if owner.get("controller")), None)


def owner_reference(kind: Kind, owner: Obj, *, controlling: bool = True, blocking: bool = True) -> Obj:
    """The reference by which an object names its owner.

    Args:
        kind: The owner's kind.
        owner: The owner, as stored.
        controlling: Whether this owner manages the object; at most one does.
        blocking: Whether a foreground deletion of the owner waits for the object.
    """
    meta = owner["metadata"]
    reference: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "name": meta["name"], "uid": meta["uid"]}
    if controlling:
        reference["controller"] = True
    if blocking:
        reference["blockOwnerDeletion"] = True
    return reference


def finalizers(obj: Obj) -> list[str]:
    """The finalizers; empty when there are none."""
    return obj.get("metadata", {}).get("finalizers") or []


def with_finalizers(obj: Obj, wanted: list[str]) -> Obj:
    """The object with exactly these finalizers."""
    return with_metadata(obj, finalizers=wanted or None)


def without_finalizer(obj: Obj, name: str) -> Obj:
    """The object without one finalizer."""
    return with_finalizers(obj, [each for each in finalizers(obj) if each != name])


def is_deleting(obj: Obj) -> bool:
    """Whether deletion was asked for."""
    return bool(obj.get("metadata", {}).get("deletionTimestamp"))


def with_metadata(obj: Obj, **changes: Any) -> Obj:
    """The object with fields of its metadata set, or removed where ``None``.

    Examples:
        >>> with_metadata({"metadata": {"name": "a", "uid": "1"}}, uid=None, labels={"x": "y"})
        {'metadata': {'name': 'a', 'labels': {'x': 'y'}}}
    """
    meta = {key: value for key, value in {**obj.get("metadata", {}), **changes}.items() if value is not None}
    return {**obj, "metadata": meta}
