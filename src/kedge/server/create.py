"""The verb ``create``."""

from typing import Any

from kedge.errors import AlreadyExists, MethodNotAllowed
from kedge.kube.kinds import Obj
from kedge.server import metadata
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, require_verb
from kedge.server.tracking import track
from kedge.server.waiting import judged, mutated, write_of

_TRIES = 8  # as on a real API server: names that were generated and are taken, before that is told


async def create(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    """Write a new object. Where its name is generated and taken, another one is.

    Args:
        core: The server.
        target: Kind and namespace; the object names itself, or is named after its ``generateName``.
        obj: The object; not changed.
        options: Dry run and validation.

    Raises:
        AlreadyExists: There is one of that name.
        BadRequest: The object contradicts the request.
        Forbidden: The namespace is being terminated, or an admission hook refused; a webhook may refuse with any other error.
        Invalid: The object breaks a rule.
        MethodNotAllowed: The kind is a review, which is never stored.
        NotFound: There is no such namespace.
    """
    meta: Any = obj.get("metadata") if isinstance(obj, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance]  # any JSON
    left = _TRIES if isinstance(meta, dict) and not meta.get("name") else 1
    while True:
        left, told = left - 1, len(options.warnings)
        try:
            return await _create(core, target, obj, options)
        except AlreadyExists:
            if not left:
                raise
            del options.warnings[told:]


async def _create(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    kind = target.kind
    if kind.structural and "create" not in kind.verbs:
        raise MethodNotAllowed("create not allowed while custom resource definition is terminating")
    require_verb(kind, "create")
    if "get" not in kind.verbs:
        raise MethodNotAllowed(f"{kind.resource} are answered, not stored: ask over HTTP, or the authenticator in process.")
    new, asks = accept(target, obj, options), core.asks(options.caller)
    if asks:
        metadata.clear(kind, new, target.namespace)
        place = Target(kind, new["metadata"].get("namespace"), new["metadata"].get("name") or "")
        core.require_namespace(place)
        new = await mutated(core, write_of("CREATE", place, (new, None), options), options)
    if "status" in kind.subresources:
        new.pop("status", None)
    metadata.begin(kind, new, target.namespace, core.clock.now(), core.ids)
    meta = new["metadata"]
    target = Target(kind, meta.get("namespace"), meta["name"])
    core.require_namespace(target)
    if kind.default is not None:
        kind.default(new)
    track(core, target, ({}, new), options)
    core.check(target, new, None)  # first: the hooks are the host's own, and take what they are given for well-formed
    if asks:
        await judged(core, write_of("CREATE", target, (new, None), options), options)
        core.require_namespace(target)  # as it is now; from here on nobody is waited for
    core.admit("create", kind, new, None)
    if options.judge is not None:
        options.judge(kind, new, None)
    return core.add(target, new, dry_run=options.dry_run)
