"""Tags of runs: texts by name, which people give to runs and find them by.

They are the labels of the Run object for as long as there is one, so that ``kubectl get runs -l team=a`` finds a run and
``kubectl label`` changes it; so they keep the rules of labels. Labels in which Kubernetes or Kedge notes something for itself
are none.
"""

from collections.abc import Mapping

from kedge.errors import BadRequest, Cause
from kedge.kube import names
from kedge.kube.kinds import Obj
from kedge.kube.metadata import labels_of

MOST = 50
"""How many a request may leave a run with."""
_OTHERS = ("kubernetes.io", "k8s.io", "kedge.dev")
_NOT_TAGS = f"prefixes that end in {', '.join(_OTHERS)} are for Kubernetes and Kedge"


def of(run: Obj) -> dict[str, str]:
    """The tags of a Run object.

    Examples:
        >>> of({"metadata": {"labels": {"team": "a", "kedge.dev/recorded": "true"}}})
        {'team': 'a'}
    """
    return {key: value for key, value in labels_of(run).items() if not _is_theirs(key)}


def _is_theirs(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    return bool(slash) and any(prefix == other or prefix.endswith("." + other) for other in _OTHERS)


def changed(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Tags as they are after changes, of which ``None`` takes one away.

    Examples:
        >>> changed({"team": "a", "draft": ""}, {"team": "b", "draft": None, "gone": None})
        {'team': 'b'}
    """
    return {key: value for key, value in {**tags, **changes}.items() if value is not None}


def check(tags: Mapping[str, str | None]) -> None:
    """Refuse what can be no tags of a run, or too many.

    Raises:
        BadRequest: Names each at fault.
    """
    causes = [Cause(f"tags.{key:.80}", fault) for key, value in tags.items() if (fault := _fault(key, value or ""))]
    if causes:
        said = "; ".join(f"{cause.field}: {cause.message}" for cause in causes[:5])
        raise BadRequest(f"{said}. Tags of runs are labels of Kubernetes, such as team=a.", causes=causes)
    if len(tags) > MOST:
        raise BadRequest(f"tags: there are {len(tags)}; a run has at most {MOST}.", causes=[Cause("tags", f"more than {MOST}")])


def _fault(key: str, value: str) -> str:
    if fault := names.qualified_fault(key):
        return fault
    if _is_theirs(key):
        return f"cannot be set: {_NOT_TAGS}"
    return f"value {fault}" if (fault := names.label_value_fault(value)) else ""
