"""The verbs ``delete`` and ``deletecollection``.

An object with finalizers, and a Pod that has time to end, is marked with a ``deletionTimestamp`` and stays until the last holder
lets go; every other object is gone at once. Who lets go: the garbage collector (propagation), the namespace controller, the node.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from kedge.client.types import Page
from kedge.errors import About, Conflict, NotFound
from kedge.kube.clock import timestamp
from kedge.kube.core import NAMESPACE, POD
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import FOREGROUND, ORPHAN
from kedge.kube.pods import is_over
from kedge.kube.structural.definition import leaving
from kedge.server import refusing
from kedge.server.auth import User
from kedge.server.core import Core, Target, Write, copy, require_verb
from kedge.server.list import Query, listing
from kedge.server.update import is_released
from kedge.server.waiting import require_current, retried
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
        caller: Who deletes, as webhooks are told; without one none is asked.
        sent: The options as the client has sent them, for webhooks.
        warnings: Filled by the verb.
        collection: Whether it is one of many.
    """

    uid: str | None = None
    resource_version: str | None = None
    grace: int | None = None
    propagation: Literal["Background", "Foreground", "Orphan"] | None = None
    dry_run: bool = False
    caller: User | None = None
    sent: Obj = field(default_factory=dict[str, Any])
    warnings: list[str] = field(default_factory=list[str])
    collection: bool = False


async def delete(core: Core, target: Target, options: DeleteOptions) -> tuple[Obj, bool]:
    """Delete an object, or start to.

    Returns:
        The object as it now is or last was, and whether it is gone.

    Raises:
        Conflict: A precondition fails.
        Forbidden: An admission hook refused.
        NotFound: There is no such object.
    """
    require_verb(target.kind, "delete")
    return await retried(lambda: _delete(core, target, options), options.warnings)


async def _delete(core: Core, target: Target, options: DeleteOptions) -> tuple[Obj, bool]:
    record = core.find(target)
    old = copy(record, target.kind)
    _check_preconditions(target, record, old, options)
    if options.caller is not None and core.asks(options.caller) and core.webhooks is not None:
        write = Write("DELETE", target, None, old, options.caller, options.sent, options.dry_run, collection=options.collection)
        await core.webhooks.mutate(write, lambda obj: obj, options.warnings)
        await core.webhooks.validate(write, options.warnings)
        require_current(core, target, record)
    core.admit("delete", target.kind, old, old)
    new = _marked(core, target.kind, old, options)
    if options.dry_run:
        return new, is_released(target.kind, new)
    if is_released(target.kind, new):
        return core.remove(record, target.kind), True
    return core.replace(target, new, record), False


async def delete_all(core: Core, target: Target, query: Query, options: DeleteOptions) -> Page:
    """Delete every object that a query finds, or those of one page; returns them as `delete` does."""
    require_verb(target.kind, "deletecollection")
    found = listing(core, target, query)
    places = [Target(target.kind, obj["metadata"].get("namespace"), obj["metadata"]["name"]) for obj in found.items]
    deleted: list[Obj] = []
    many = replace(options, collection=True)
    for place in places:
        with suppress(NotFound):  # an older page may name what is gone
            deleted.append((await delete(core, place, many))[0])
    return Page(deleted, found.resource_version, found.continue_, found.remaining)


def _check_preconditions(target: Target, record: Record, old: Obj, options: DeleteOptions) -> None:
    uid = old["metadata"]["uid"]
    if options.uid and options.uid != uid:
        raise _unmet(
            target,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version and options.resource_version != str(record.revision):
        raise _unmet(
            target,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion in record "
            f"({record.revision}). The object might have been modified",
        )
    if target.kind.resource == NAMESPACE.resource and target.name in _PERMANENT_NAMESPACES:
        raise refusing.forbidden(target.kind, {"metadata": {"name": target.name}}, "this namespace may not be deleted")


def _unmet(target: Target, why: str) -> Conflict:
    error = Conflict(f'Operation cannot be fulfilled on {target.kind.kind} "{target.name}": {why}')
    error.about = About(target.kind.kind, target.kind.group, target.name)
    return error


def _marked(core: Core, kind: Kind, old: Obj, options: DeleteOptions) -> Obj:
    """The object with the marks of its deletion."""
    meta: Obj = dict(old["metadata"])
    new = {**old, "metadata": meta}
    finalizers = [each for each in meta.get("finalizers", ()) if each not in {FOREGROUND, ORPHAN} or options.propagation is None]
    if options.propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif options.propagation == "Orphan":
        finalizers.append(ORPHAN)
    if finalizers:
        meta["finalizers"] = finalizers  # at its old place: what has not changed is not written
    else:
        meta.pop("finalizers", None)
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
    if kind.resource == CRD.resource and "deletionTimestamp" not in old["metadata"]:
        return leaving(new, timestamp(now))
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
