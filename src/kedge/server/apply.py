"""Server-side apply, and the record of who owns which field that every other write keeps.

The rules are `kedge.kube.managers`'; here stands what a request adds: its manager, its refusals, and what `kubectl` needs to come
from client-side apply. Writes of this process are recorded once somebody has applied to the object; before, they would only cost.
"""

import json
from dataclasses import replace
from typing import Any

from kedge.errors import About, AlreadyExists, BadRequest, Cause, Conflict
from kedge.kube import managers, typed
from kedge.kube.clock import timestamp
from kedge.kube.field_sets import Set, compact
from kedge.kube.kinds import Kind, Obj
from kedge.kube.managers import Conflicts, Entries, Manager
from kedge.server import schema
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, clone, copy, key, missing, require_name, require_verb
from kedge.server.create import create
from kedge.server.scale import SCALE, applied_part, scale_of, wanted_of
from kedge.server.unreadable import Unreadable
from kedge.server.update import commit, commit_scale, metadata_of_status, require_same
from kedge.server.waiting import Overtaken, retried
from kedge.store.types import Record

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"  # its annotation of client-side applies is kept in step, for it alone
_ANNOTATION_LIMIT = 256 << 10
_NUMBER: Set = {"f:spec": {"f:replicas": {}}}  # of a Scale
_SCALE = "scale"


async def apply(core: Core, target: Target, config: Any, options: WriteOptions, *, force: bool) -> tuple[Obj, bool]:
    """Apply a configuration: what it names is set and becomes the manager's, what the manager named before goes.

    Args:
        core: The server.
        target: Which object, and ``status`` when only that part is meant.
        config: The object's fields that the manager wants.
        options: Dry run, validation, and the manager's name.
        force: Take fields from others that own them.

    Returns:
        The object, and whether it is new.

    Raises:
        BadRequest: The configuration cannot be read: wrong types, unknown fields, items of a list that are there twice.
        Conflict: Others own fields that would change; each is a cause.
        Invalid: The result breaks a rule.
        NotFound: There is no such object to apply a subresource to.
    """
    require_verb(target.kind, "patch")
    try:
        return await retried(lambda: _applied(core, target, config, options, force=force), options.warnings)
    except Unreadable as error:  # what only the fields' own types know
        object_type, space = _object_type(target.kind), config["metadata"].get("namespace") or ""
        raise BadRequest(
            f"failed to convert new object ({space}/{target.name}; {object_type}) to proper version: "
            f"unable to convert unstructured object to {object_type}: {error.converted}"
        ) from error


async def _applied(core: Core, target: Target, config: Any, options: WriteOptions, *, force: bool) -> tuple[Obj, bool]:
    kind = target.kind
    given = _checked(target, config)
    manager = Manager(options.manager, "Apply", kind.api_version, target.subresource)
    record = core.store.get(key(target))
    now = timestamp(core.clock.now())
    if record is None:
        if target.subresource:
            raise missing(target)
        if given["metadata"].get("uid"):
            raise Conflict(f"Operation cannot be fulfilled on {target}: it does not exist, but a uid was named. Leave it out.")
        require_name(target, given["metadata"].get("name"))
        given["metadata"].pop("resourceVersion", None)
        _, entries = managers.applied(kind, {}, ({}, given), manager, now, force=True)
        options.entries = entries
        try:
            return await create(core, target, given, replace(options, sent={**options.sent, "kind": "CreateOptions"})), True
        except AlreadyExists as error:
            raise Overtaken(error.message) from error
    if target.subresource == _SCALE:
        return await _applied_scale(core, target, record, given, (manager, options), force=force), False
    live = copy(record, kind)
    require_same(target, live, given)
    entries = managers.stored(live) or managers.first(kind, live, now)
    part = _part(kind, target.subresource, given)
    new, options.entries = _merged(kind, entries, (live, part), manager, now, force=force)
    _set_last_applied(manager, live, new, given)
    new["metadata"] = {**new["metadata"]}
    if given["metadata"].get("resourceVersion") is None:
        new["metadata"]["resourceVersion"] = str(record.revision)
    return await commit(core, target, record, accept(target, new, options, core.load(record, kind)), options), False


async def _applied_scale(
    core: Core, target: Target, record: Record, given: Obj, by: tuple[Manager, WriteOptions], *, force: bool
) -> Obj:
    """Apply a Scale: who owns its number owns the object's, and the other way round."""
    kind, (manager, options), now = target.kind, by, timestamp(core.clock.now())
    live = copy(record, kind)
    entries, scale = managers.stored(live) or managers.first(kind, live, now), scale_of(kind, live)
    new, options.entries = _merged(kind, entries, applied_part(kind, live, given), manager, now, force=force)
    scale["metadata"] = {"name": target.name, "resourceVersion": str(record.revision), **given["metadata"]}
    scale["spec"] = {"replicas": wanted_of(kind, new)}
    return await commit_scale(core, target, record, scale, options)


def _merged(
    kind: Kind, entries: Entries, pair: tuple[Obj, Obj], manager: Manager, now: str, *, force: bool
) -> tuple[Obj, Entries]:
    try:
        return managers.applied(kind, entries, pair, manager, now, force=force)
    except Conflicts as conflicts:
        left = conflicts
        if manager.name == _KUBECTL and (last := _last_applied(pair[0])) is not None:
            left = Conflicts(dict(managers.untouched(conflicts, managers.allowed(kind, pair[0], last))))
        if not left.fields:
            return managers.applied(kind, entries, pair, manager, now, force=True)
        if manager.subresource == _SCALE:
            left = Conflicts({replace(who, api_version=SCALE.api_version): _NUMBER for who in left.fields})
        found = left.all()
        causes = [Cause(path, f"conflict with {who}", "FieldManagerConflict") for who, path in found]
        many = "conflict" if len(found) == 1 else "conflicts"
        error = Conflict(f"Apply failed with {len(found)} {many}: {left}", causes=causes)
        error.about = About()  # the fields alone are named
        raise error from None


def _checked(target: Target, config: Any) -> Obj:
    """A copy of a configuration that can be applied to the object it names."""
    kind = SCALE if target.subresource == _SCALE else target.kind
    if not isinstance(config, dict):
        raise BadRequest(f"error decoding YAML: an object is expected, got {type(config).__name__}. Send {kind.kind} fields.")
    found = f"{config.get('apiVersion') or '/'}, Kind={config.get('kind') or ''}"
    if (config.get("apiVersion"), config.get("kind")) != (kind.api_version, kind.kind):
        version = found if "/" in found else f"/{found}"
        raise BadRequest(f"invalid object type: {version}. This path takes {kind.api_version}, Kind={kind.kind}.")
    given: Obj = schema.without_nulls(clone(config), kind.schema)
    meta = given.setdefault("metadata", {})
    name = meta.get("name") if isinstance(meta, dict) else None
    space = meta.get("namespace") or "" if isinstance(meta, dict) else ""
    _check_types(kind, given, f"failed to create typed patch object ({space}/{name or ''}; {_object_type(kind)}): ")
    if "managedFields" in meta:
        raise BadRequest("metadata.managedFields must be nil. Leave it out: it is what the server finds.")
    return given


def _object_type(kind: Kind) -> str:
    version = kind.api_version if kind.group else f"/{kind.version}"
    return f"{version}, Kind={kind.kind}"


def _check_types(kind: Kind, given: Obj, head: str) -> None:
    told = typed.faults(managers.schema_of(kind), given)
    if told:
        listed = told[0] if len(told) == 1 else "errors:\n  " + "\n  ".join(told)
        raise BadRequest(head + listed)


def _part(kind: Kind, subresource: str, given: Obj) -> Obj:
    """What of a configuration the path it came to writes."""
    if not subresource:
        rest = {name for name in ("status",) if name in kind.subresources}
        return {name: value for name, value in given.items() if name not in rest}
    meta = given["metadata"]
    kept = ("name", "namespace", *(key for key in metadata_of_status(kind) if key != "finalizers"))
    part: Obj = {"apiVersion": given["apiVersion"], "kind": given["kind"]}
    part["metadata"] = {name: meta[name] for name in kept if name in meta}
    return part | ({subresource: given[subresource]} if subresource in given else {})


def _last_applied(live: Obj) -> Obj | None:
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None  # what cannot be read allows nothing
    return found if isinstance(found, dict) else None


def _set_last_applied(manager: Manager, live: Obj, new: Obj, given: Obj) -> None:
    """Keep the annotation of client-side applies in step, so that one can follow this apply."""
    if manager.name != _KUBECTL or LAST_APPLIED not in (live["metadata"].get("annotations") or {}):
        return
    meta = {name: value for name, value in given["metadata"].items() if name != "resourceVersion"}
    if LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {name: text for name, text in meta["annotations"].items() if name != LAST_APPLIED}
    text = compact({**given, "metadata": meta}) + "\n"
    annotations = {**(new["metadata"].get("annotations") or {}), LAST_APPLIED: text}
    if len(text) > _ANNOTATION_LIMIT:
        del annotations[LAST_APPLIED]
    new["metadata"] = {**new["metadata"], "annotations": annotations}
