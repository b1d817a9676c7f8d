"""The verb ``create``."""

from kedge.errors import MethodNotAllowed
from kedge.kube.kinds import Obj
from kedge.server import metadata
from kedge.server.core import Core, Target, WriteOptions, accept, require_verb


def create(core: Core, target: Target, obj: Obj, options: WriteOptions) -> Obj:
    """Write a new object.

    Args:
        core: The server.
        target: Kind and namespace; the object names itself, or is named after its ``generateName``.
        obj: The object; not changed.
        options: Dry run and validation.

    Raises:
        AlreadyExists: There is one of that name.
        BadRequest: The object contradicts the request.
        Forbidden: The namespace is being terminated, or an admission hook refused.
        Invalid: The object breaks a rule.
        MethodNotAllowed: The kind is a review, which is never stored.
        NotFound: There is no such namespace.
    """
    kind = target.kind
    require_verb(kind, "create")
    if "get" not in kind.verbs:
        raise MethodNotAllowed(f"{kind.resource} are answered, not stored: ask over HTTP, or the authenticator in process.")
    new = accept(target, obj, options)
    if "status" in kind.subresources:
        new.pop("status", None)
    metadata.begin(kind, new, target.namespace, core.clock.now(), core.ids)
    meta = new["metadata"]
    target = Target(kind, meta.get("namespace"), meta["name"])
    core.require_namespace(target)
    if kind.default is not None:
        kind.default(new)
    core.check(target, new, None)  # first: the hooks are the host's own, and take what they are given for well-formed
    core.admit("create", kind, new, None)
    return new if options.dry_run else core.add(target, new)
