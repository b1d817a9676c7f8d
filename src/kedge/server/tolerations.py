"""How long Pods tolerate a node that is silent or not ready: Kubernetes' admission plugin DefaultTolerationSeconds."""

from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj

_SECONDS = 300
_KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Give a Pod that is made the two tolerations that it does not have itself: a hook of the server's."""
    if kind is not POD or verb != "create" or old is not None:
        return
    spec = new["spec"]
    have: list[Obj] = spec.get("tolerations") or []
    missing = [key for key in _KEYS if not any(_covers(each, key) for each in have)]
    if missing:
        made = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS} for key in missing]
        spec["tolerations"] = [*have, *made]


def _covers(toleration: Obj, key: str) -> bool:
    return (toleration.get("key") or key) == key and (toleration.get("effect") or "NoExecute") == "NoExecute"
