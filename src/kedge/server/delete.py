"""The verbs ``delete`` and ``deletecollection``.

An object with finalizers, and a Pod that has time to end, is marked with a ``deletionTimestamp`` and stays until the last holder
lets go; every other object is gone at once. Who lets go: the garbage collector (propagation), the namespace controller, the node.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kedge.errors import Cause, Conflict
from kedge.kube.clock import timestamp
from kedge.kube.core import NAMESPACE, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import FOREGROUND, ORPHAN
from kedge.kube.pods import is_over
from kedge.server import metadata
from kedge.server.core import Core, Target, copy, require_verb
from kedge.server.list import Query, listing
from kedge.server.update import is_released
from kedge.store.types import Record

_DEFAULT_GRACE = 30
_PERMANENT_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete.

    Attributes:
        uid: Refuse when the object has another one.
        resource_version: Refuse when it has changed since.
        grace: Seconds a Pod has to end; ``None`` for its own.
        propagation: What becomes of what it owns; ``None`` is Background.
        dry_run: Do everything but write.
    """

    uid: str | None = None
    resource_version: str | None = None
    grace: int | None = None
    propagation: Literal["Background", "Foreground", "Orphan"] | None = None
    dry_run: bool = False


def delete(core: Core, target: Target, options: DeleteOptions) -> tuple[Obj, bool]:
    """Delete an object, or start to.

    Returns:
        The object as it now is or last was, and whether it is gone.

    Raises:
        Conflict: A precondition fails.
        Forbidden: An admission hook refused.
        NotFound: There is no such object.
    """
    require_verb(target.kind, "delete")
    record = core.find(target)
    old = copy(record)
    _check_preconditions(target, record, old, options)
    core.admit("delete", target.kind, old, old)
    new = _marked(core, target.kind, old, options)
    if options.dry_run:
        return new, is_released(target.kind, new)
    if is_released(target.kind, new):
        return core.remove(record), True
    return core.replace(target, new, record), False


def delete_all(core: Core, target: Target, query: Query, options: DeleteOptions) -> list[Obj]:
    """Delete every object that a query finds; returns them as `delete` does."""
    require_verb(target.kind, "deletecollection")
    found = listing(core, target, query).items
    places = [Target(target.kind, obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in found]
    return [delete(core, place, options)[0] for place in places]


def _check_preconditions(target: Target, record: Record, old: Obj, options: DeleteOptions) -> None:
    uid = old["metadata"]["uid"]
    if options.uid and options.uid != uid:
        raise Conflict(
            f"Operation cannot be fulfilled on {target}: Precondition failed: UID in precondition: {options.uid}, "
            f"UID in object meta: {uid}. It was deleted and created anew; what was meant is gone."
        )
    if options.resource_version and options.resource_version != str(record.revision):
        raise Conflict(
            f"Operation cannot be fulfilled on {target}: Precondition failed: ResourceVersion in precondition: "
            f"{options.resource_version}, ResourceVersion in object meta: {record.revision}. Read it again."
        )
    if target.kind.resource == NAMESPACE.resource and target.name in _PERMANENT_NAMESPACES:
        fault = Cause("metadata.name", "this namespace may not be deleted. Delete what is in it", "FieldValueForbidden")
        raise metadata.invalid(target.kind, target.name, [fault])


def _marked(core: Core, kind: Kind, old: Obj, options: DeleteOptions) -> Obj:
    """The object with the marks of its deletion."""
    meta: Obj = dict(old["metadata"])
    new = {**old, "metadata": meta}
    finalizers = [each for each in meta.get("finalizers", ()) if each not in {FOREGROUND, ORPHAN} or options.propagation is None]
    if options.propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif options.propagation == "Orphan":
        finalizers.append(ORPHAN)
    meta.pop("finalizers", None)
    if finalizers:
        meta["finalizers"] = finalizers
    grace = _grace(kind, old, options)
    now = core.clock.now()
    if "deletionTimestamp" not in meta:
        meta["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
        if "generation" in meta:
            meta["generation"] += 1
    elif grace < meta.get("deletionGracePeriodSeconds", 0):
        meta["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
    if kind.resource == NAMESPACE.resource:
        new["status"] = {**old.get("status", {}), "phase": "Terminating"}
    return new


def _grace(kind: Kind, obj: Obj, options: DeleteOptions) -> int:
    if kind.resource != POD.resource:
        return 0
    spec = obj.get("spec", {})
    if not spec.get("nodeName") or is_over(obj):
        # Nobody has to end it: it was never given to a node, or it has ended.
        return 0
    if options.grace is not None:
        # As on a real API server, a negative number means one second.
        return options.grace if options.grace >= 0 else 1
    return int(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE))
