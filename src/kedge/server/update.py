"""The verb ``update``, and what it shares with ``patch``: how an object becomes its next self."""

from kedge.errors import BadRequest, Cause, Conflict, MethodNotAllowed
from kedge.kube.core import NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.server import metadata
from kedge.server.core import Core, Target, WriteOptions, accept, changed, copy, require_verb
from kedge.store.types import Record

WRITABLE_SUBRESOURCES = frozenset({"status", "finalize"})


def update(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    """Replace an object.

    Args:
        core: The server.
        target: Which one, and ``status`` or ``finalize`` when only that part is meant.
        obj: Its next self; not changed.
        options: Dry run and validation.

    Raises:
        Conflict: It has changed since it was read, or is another object of that name.
        Invalid: The object breaks a rule.
        NotFound: There is none of that name.
    """
    require_verb(target.kind, "update")
    record = core.find(target)
    new = accept(target, obj, options, core.load(record))
    return commit(core, target, record, new, options)


def commit(core: Core, target: Target, record: Record, new: Obj, options: WriteOptions) -> Obj:
    """Make an object its next self: everything after the request was read.

    Args:
        core: The server.
        target: Which one, and which part.
        record: What ``new`` replaces.
        new: Accepted, the caller's own; changed here.
        options: Dry run.

    Returns:
        The object as stored, or as it would have been, when this took its last finalizer and it is gone.
    """
    kind, old = target.kind, copy(record)
    _check_identity(target, record, old, new)
    if target.subresource:
        new = _only_part(target, old, new)
    elif "status" in kind.subresources:
        _set(new, "status", old.get("status"))
    if target.subresource != "finalize" and kind.resource == NAMESPACE.resource:
        _set(new, "spec", old.get("spec"))
    metadata.carry(old, new)
    if kind.default is not None:
        kind.default(new)
    core.admit("update", kind, new, old)
    core.check(target, new, old)
    _count_generation(old, new)
    if options.dry_run:
        new["metadata"]["resourceVersion"] = str(record.revision)
        return new
    if is_released(kind, new):
        gone = core.remove(record)
        new["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"]
        return new
    return core.replace(target, new, record)


def is_released(kind: Kind, obj: Obj) -> bool:
    """Whether an object is being deleted and nothing holds it any more: no finalizer, and no Pod that still has time to end."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (kind.resource == NAMESPACE.resource and obj.get("spec", {}).get("finalizers"))


def _check_identity(target: Target, record: Record, old: Obj, new: Obj) -> None:
    meta, kind = new["metadata"], target.kind
    if (name := meta.setdefault("name", target.name)) != target.name:
        raise BadRequest(f"metadata.name: the object is {name!r}, the request is about {target.name!r}. Make them the same.")
    if kind.namespaced and (namespace := meta.setdefault("namespace", target.namespace)) != target.namespace:
        raise BadRequest(
            f"metadata.namespace: the object is of namespace {namespace!r}, the request of {target.namespace!r}. "
            "Make them the same."
        )
    uid = meta.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        raise Conflict(
            f"Operation cannot be fulfilled on {target}: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {old['metadata']['uid']}. It was deleted and created anew; read it again."
        )
    version = meta.get("resourceVersion")
    if version and version != str(record.revision):
        raise changed(target)
    if not version and kind.group:
        # As on a real API server, where only the core kinds may be replaced without looking.
        fault = Cause("metadata.resourceVersion", "must be specified for an update: read the object and send what it has")
        raise metadata.invalid(kind, target.name, [fault])


def _only_part(target: Target, old: Obj, new: Obj) -> Obj:
    part, kind = target.subresource, target.kind
    if part not in WRITABLE_SUBRESOURCES or part not in kind.subresources:
        raise MethodNotAllowed(f"{kind.resource} have no subresource {part!r} that can be written.")
    result = copy_of = dict(old)
    if part == "finalize":
        copy_of["spec"] = {**old.get("spec", {}), "finalizers": new.get("spec", {}).get("finalizers", [])}
        copy_of["metadata"] = dict(old["metadata"])
        return result
    _set(result, "status", new.get("status"))
    meta = dict(old["metadata"])
    if not kind.group:
        # A status writer may label and annotate objects of the core group, as on a real API server; it may not change owners.
        for key in ("labels", "annotations", "finalizers"):
            _set(meta, key, new["metadata"].get(key))
    result["metadata"] = meta
    return result


def _set(obj: Obj, key: str, value: object) -> None:
    if value is None:
        obj.pop(key, None)
    else:
        obj[key] = value


def _count_generation(old: Obj, new: Obj) -> None:
    generation = old["metadata"].get("generation")
    if generation is None:
        return
    rest = ({key: value for key, value in obj.items() if key not in {"metadata", "status"}} for obj in (old, new))
    before, after = rest
    new["metadata"]["generation"] = generation if before == after else generation + 1
