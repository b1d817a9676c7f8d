"""The verb ``patch``: JSON patch, merge patch, strategic merge patch."""

from typing import Any

from kedge.client.types import PatchType
from kedge.errors import UnsupportedMediaType
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
    # The patch's own values end up in the object: cloned, so that the two share nothing.
    patched = patches.apply(copy(record), clone(change), how, kind.merge_keys)
    return commit(core, target, record, accept(target, patched, options), options)
