"""What keeps a Pod on the host's own node: what it uses lies in the host's data directory, which no other machine sees."""

from kedge.kube.kinds import Obj
from kedge.node.claims import claim_names
from kedge.node.network import RUN


def stays(pod: Obj) -> str:
    """Why no joined node may run a Pod; empty where any may.

    Examples:
        >>> stays({"metadata": {"name": "step", "labels": {"kedge.dev/run": "a"}}, "spec": {}})
        'a step of a run shares the folder of artifacts with this host'
        >>> stays({"metadata": {"name": "web"}, "spec": {}})
        ''
    """
    if RUN in (pod["metadata"].get("labels") or {}):
        return "a step of a run shares the folder of artifacts with this host"
    if claim := next(claim_names(pod), ""):
        return f"the claim {claim} is a folder of this host"
    return ""
