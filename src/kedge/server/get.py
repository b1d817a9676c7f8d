"""The verb ``get``."""

from kedge.kube.kinds import Obj
from kedge.server.core import Core, Target, require_verb
from kedge.server.scale import scale_of


def get(core: Core, target: Target) -> Obj:
    """Read one object; it is shared, and must not be changed.

    Raises:
        NotFound: There is none of that name.
    """
    require_verb(target.kind, "get")
    obj = core.load(core.find(target), target.kind)
    return scale_of(target.kind, obj) if target.subresource == "scale" else obj
