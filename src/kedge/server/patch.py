"""The verb ``patch``: JSON patch, merge patch, strategic merge patch."""

from collections.abc import Mapping
from typing import Any

from kedge.client.types import PatchType
from kedge.errors import About, BadRequest, Invalid, UnsupportedMediaType
from kedge.kube import patches
from kedge.kube.faults import invalid
from kedge.kube.go_values import plain
from kedge.kube.kinds import Kind, Obj
from kedge.kube.merging import merge_keys
from kedge.server import metadata
from kedge.server.accepting import accept
from kedge.server.core import Core, Target, WriteOptions, clone, copy, encoded, require_verb
from kedge.server.scale import scale_of
from kedge.server.unreadable import Unreadable
from kedge.server.update import commit, commit_scale, require_same
from kedge.server.waiting import retried


async def patch(core: Core, target: Target, change: Any, how: PatchType, options: WriteOptions) -> Obj:
    """Change parts of an object.

    Args:
        core: The server.
        target: Which one, and which part.
        change: The patch, JSON; a resourceVersion or uid in it is a precondition.
        how: The patch's language.
        options: Dry run and validation.

    Raises:
        BadRequest: The patch cannot be read.
        Conflict: A precondition fails.
        Invalid: The patch cannot be applied, or its result breaks a rule.
        NotFound: There is no such object.
        UnsupportedMediaType: A strategic merge patch for a kind that has no merge keys.
    """
    kind = target.kind
    require_verb(kind, "patch")
    keys = merge_keys(kind) if how == "strategic" else None
    if how == "strategic" and keys is None:
        raise UnsupportedMediaType(
            f"{kind.resource} take no strategic merge patch. Send application/merge-patch+json or application/json-patch+json."
        )

    async def attempt() -> Obj:
        record = core.find(target)
        is_scale = target.subresource == "scale"
        old = core.load(record, kind)
        patched = _patched(scale_of(kind, old) if is_scale else copy(record, kind), change, how, None if is_scale else keys)
        try:
            if is_scale:
                return await commit_scale(core, target, record, patched, options)
            if kind.structural and (version := patched.get("apiVersion", kind.api_version)) != kind.api_version:
                raise metadata.invalid(kind, target.name, [invalid("apiVersion", version, f"must be {kind.api_version}")])
            new = accept(target, _of_kind(kind, patched) if how == "strategic" else patched, options, old)
        except Unreadable as error:
            raise _unfit(patched, change, how, error) from error
        require_same(target, old, new)
        return await commit(core, target, record, new, options)

    return await retried(attempt, options.warnings)


def _of_kind(kind: Kind, patched: Obj) -> Obj:
    """What a strategic patch says of the kind is passed over, as on a real API server, be it a text at all."""
    said = {"apiVersion": kind.api_version, "kind": kind.kind}
    return {**patched, **{name: value for name, value in said.items() if isinstance(patched.get(name), str)}}


def _unfit(patched: Any, change: Any, how: PatchType, error: Unreadable) -> Invalid:
    """The error of a patch after which the object is none of its kind."""
    if how == "strategic":
        cause = invalid("patch", plain(change), error.converted)
    else:
        cause = invalid("patch", encoded(patched).decode(), error.why)
    refused = Invalid(f' "" is invalid: {cause.field}: {cause.message}', causes=[cause])
    refused.about = About()
    return refused


def _patched(obj: Obj, change: Any, how: PatchType, keys: Mapping[str, str] | None) -> Obj:
    # The patch's own values end up in the object: cloned, so that the two share nothing.
    try:
        return patches.apply(obj, clone(change), how, keys)
    except (TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
        # A patch is any JSON at all: what its language does not foresee is the sender's mistake.
        raise BadRequest(f"the {how} patch cannot be applied: {error}. Check the types of what it holds.") from error
