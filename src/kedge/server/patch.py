"""The verb ``patch``: JSON patch, merge patch, strategic merge patch."""

from typing import Any

from kedge.client.types import PatchType
from kedge.errors import BadRequest, UnsupportedMediaType
from kedge.kube import patches
from kedge.kube.kinds import Obj
from kedge.server.core import Core, Target, WriteOptions, accept, clone, copy, require_verb
from kedge.server.update import commit


def patch(core: Core, target: Target, change: Any, how: PatchType, options: WriteOptions) -> Obj:
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
    if how == "strategic" and not kind.merge_keys:
        raise UnsupportedMediaType(
            f"{kind.resource} take no strategic merge patch. Send application/merge-patch+json or application/json-patch+json."
        )
    record = core.find(target)
    old = core.load(record)
    # The patch's own values end up in the object: cloned, so that the two share nothing.
    try:
        patched = patches.apply(copy(record), clone(change), how, kind.merge_keys)
    except (TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
        # A patch is any JSON at all: what its language does not foresee is the sender's mistake.
        raise BadRequest(f"the {how} patch cannot be applied: {error}. Check the types of what it holds.") from error
    return commit(core, target, record, accept(target, patched, options, old), options)
