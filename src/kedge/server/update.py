"""The verb ``update``, and what it shares with ``patch``: how an object becomes its next self."""

from contextlib import suppress
from dataclasses import replace

from kedge.errors import BadRequest, Conflict, Invalid, MethodNotAllowed, NotFound
from kedge.kube.core import NAMESPACE
from kedge.kube.faults import invalid
from kedge.kube.kinds import Kind, Obj
from kedge.server import metadata
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, changed, copy, require_name, require_verb
from kedge.server.scale import API_VERSION, KIND, scale_of, scaled
from kedge.server.tracking import track
from kedge.server.waiting import judged, mutated, require_current, retried, write_of
from kedge.store.types import Record

# Groups whose objects may be replaced without saying which state of them was read; as on a real API server not those that many
# write at once, such as Leases, nor what is of a definition.
_UNCONDITIONAL = frozenset(
    {
        "",
        "apps",
        "autoscaling",
        "batch",
        "discovery.k8s.io",
        "events.k8s.io",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
WRITABLE_SUBRESOURCES = frozenset({"status", "finalize", "scale"})


async def update(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
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

    async def attempt() -> Obj:
        record = _found(core, target, obj, options)
        if target.subresource == "scale":
            return await commit_scale(core, target, record, obj, options)
        new = accept(target, obj, options, core.load(record, target.kind))
        return await commit(core, target, record, new, options)

    return await retried(attempt, options.warnings)


def _found(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Record:
    """What is to be replaced; a body that cannot be read is told before that there is nothing of the name."""
    try:
        return core.find(target)
    except NotFound:
        if target.subresource != "scale":
            with suppress(Invalid):
                accept(target, obj, options)
        raise


async def commit(core: Core, target: Target, record: Record, new: Obj, options: WriteOptions) -> Obj:
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
    kind, old = target.kind, copy(record, target.kind)
    _check_identity(target, record, old, new)
    asks = core.asks(options.caller)
    if asks:
        new = await mutated(core, write_of("UPDATE", target, (new, old), options), options)
        require_current(core, target, record)
        _check_identity(target, record, old, new)
    given = new["metadata"].get("managedFields")
    if target.subresource:
        new = _only_part(target, old, new)
    elif "status" in kind.subresources:
        _set(new, "status", old.get("status"))
    if target.subresource != "finalize" and kind.resource == NAMESPACE.resource:
        _set(new, "spec", old.get("spec"))
    metadata.carry(old, new)
    if kind.default is not None:
        kind.default(new)
    track(core, target, (old, new), options, given)
    if asks:
        core.check(target, new, old)
        await judged(core, write_of("UPDATE", target, (new, old), options), options)
        require_current(core, target, record)  # from here on nobody is waited for
    core.admit("update", kind, new, old)
    core.check(target, new, old)
    if options.judge is not None:
        options.judge(kind, new, old)
    _count_generation(kind, old, new)
    if options.dry_run:
        new["metadata"]["resourceVersion"] = str(record.revision)
        return new
    if is_released(kind, new):
        gone = core.remove(record, kind)
        new["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"]
        return new
    return core.replace(target, new, record)


async def commit_scale(core: Core, target: Target, record: Record, scale: object, options: WriteOptions) -> Obj:
    """Give an object the number that a Scale asks for; returns its scale as it then is."""
    whole = replace(target, subresource="")
    wanted = scaled(target, copy(record, target.kind), scale)
    if core.asks(options.caller) and core.webhooks is not None:
        form, old = (API_VERSION, KIND), scale_of(target.kind, copy(record, target.kind))
        write = write_of("UPDATE", target, (scale_of(target.kind, wanted), old), options, form=form)
        changed_scale = await core.webhooks.mutate(write, lambda obj: obj, options.warnings)
        await judged(core, replace(write, new=changed_scale), options)
        require_current(core, target, record)
        wanted = scaled(target, copy(record, target.kind), changed_scale)
    # Webhooks are asked of the Scale alone, as on a real API server.
    alone = replace(options, caller=None, through=target.subresource)
    return scale_of(target.kind, await commit(core, whole, record, wanted, alone))


def is_released(kind: Kind, obj: Obj) -> bool:
    """Whether an object is being deleted and nothing holds it any more: no finalizer, and no Pod that still has time to end."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (kind.resource == NAMESPACE.resource and obj.get("spec", {}).get("finalizers"))


def _check_identity(target: Target, record: Record, old: Obj, new: Obj) -> None:
    meta, kind = new["metadata"], target.kind
    require_name(target, meta.get("name"))
    if kind.namespaced and meta.setdefault("namespace", target.namespace) != target.namespace:
        raise BadRequest(metadata.OTHER_NAMESPACE)
    uid = meta.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        raise Conflict(
            f"Operation cannot be fulfilled on {target}: Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {old['metadata']['uid']}. It was deleted and created anew; read it again."
        )
    version = meta.get("resourceVersion")
    if version and version != str(record.revision):
        raise changed(target)
    if not version and kind.group not in _UNCONDITIONAL:
        raise metadata.invalid(kind, target.name, [invalid("metadata.resourceVersion", 0, "must be specified for an update")])


def require_same(target: Target, old: Obj, new: Obj) -> None:
    """Refuse a change of what an object is known by, where it is no precondition.

    Raises:
        Invalid: It has another uid.
    """
    if (uid := new["metadata"].get("uid")) and uid != old["metadata"]["uid"]:
        raise metadata.invalid(target.kind, target.name, [invalid("metadata.uid", uid, "field is immutable")])


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
    for key in metadata_of_status(kind):
        _set(meta, key, new["metadata"].get(key))
    result["metadata"] = meta
    return result


def metadata_of_status(kind: Kind) -> tuple[str, ...]:
    """What of metadata is written with the status, as on a real API server.

    Args:
        kind: Of users' own kinds it is nothing, and of a Deployment not the labels.
    """
    if kind.group not in _UNCONDITIONAL and kind.group != "policy":
        return ()
    return ("annotations", "finalizers") if kind.kind == "Deployment" else ("labels", "annotations", "finalizers")


def _set(obj: Obj, key: str, value: object) -> None:
    if value is None:
        obj.pop(key, None)
    else:
        obj[key] = value


def _count_generation(kind: Kind, old: Obj, new: Obj) -> None:
    generation = old["metadata"].get("generation")
    if generation is None:
        return
    apart = {"metadata"} if kind.structural and "status" not in kind.subresources else {"metadata", "status"}
    rest = ({key: value for key, value in obj.items() if key not in apart} for obj in (old, new))
    before, after = rest
    new["metadata"]["generation"] = generation if before == after else generation + 1
