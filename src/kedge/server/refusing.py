"""How admission says no: in the words of a real API server."""

from kedge.errors import About, Forbidden
from kedge.kube.kinds import Kind, Obj


def forbidden(kind: Kind, obj: Obj, why: str) -> Forbidden:
    """The error of what a rule of the cluster forbids, not one of the kind's."""
    name: str = obj["metadata"]["name"]
    error = Forbidden(f'{kind.resource} "{name}" is forbidden: {why}')
    error.about = About(kind.plural, kind.group, name)
    return error
