"""Which PersistentVolume a claim gets, and what binds the two.

The rules and words are those of Kubernetes (https://kubernetes.io/docs/concepts/storage/persistent-volumes/).
"""

from collections.abc import Iterable
from decimal import Decimal

from kedge.kube import quantities
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.kinds import Obj
from kedge.kube.metadata import is_deleting, key_of, uid_of
from kedge.kube.selectors import from_label_selector, label_predicate

BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def is_held_by(volume: Obj, claim: Obj) -> bool:
    """Whether a volume is kept for a claim, by its name at least."""
    reference = volume["spec"].get("claimRef") or {}
    return (reference.get("namespace"), reference.get("name")) == tuple(key_of(claim)) and reference.get("uid") in {
        None,
        "",
        uid_of(claim),
    }


def misfit(volume: Obj, claim: Obj) -> str:
    """Why a volume is none for a claim; ``""`` where it is."""
    has, wants = volume["spec"], claim["spec"]
    if quantities.parse(has["capacity"]["storage"]) < quantities.parse(wants["resources"]["requests"]["storage"]):
        return "requested PV is too small"
    if (has.get("storageClassName") or "") != (wants.get("storageClassName") or ""):
        return "storageClassName does not match"
    if (has.get("volumeMode") or "Filesystem") != (wants.get("volumeMode") or "Filesystem"):
        return "incompatible volumeMode"
    return "" if set(wants["accessModes"]) <= set(has["accessModes"]) else "incompatible accessMode"


def best(volumes: Iterable[Obj], claim: Obj) -> Obj | None:
    """The volume that a claim gets: one that is kept for it, else the smallest of those that are free and fit.

    Those with the fewest access modes come first, as on a cluster: what can be shared is kept for who shares it.

    Args:
        volumes: All that there are.
        claim: The claim.

    Returns:
        The volume, or ``None``.
    """
    matches = label_predicate(from_label_selector(claim["spec"].get("selector")))
    free: list[Obj] = []
    for volume in volumes:
        if is_deleting(volume) or misfit(volume, claim):
            continue
        if volume["spec"].get("claimRef"):
            if is_held_by(volume, claim):
                return volume
        elif volume["status"].get("phase") == "Available" and matches(volume):
            free.append(volume)
    return min(free, key=_order, default=None)


def _order(volume: Obj) -> tuple[int, Decimal, str]:
    spec = volume["spec"]
    return len(spec["accessModes"]), quantities.parse(spec["capacity"]["storage"]), volume["metadata"]["name"]


def reference_to(claim: Obj) -> Obj:
    """The reference by which a volume names its claim."""
    meta = claim["metadata"]
    reference = {"apiVersion": PERSISTENT_VOLUME_CLAIM.api_version, "kind": PERSISTENT_VOLUME_CLAIM.kind}
    named = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {**reference, **named, "resourceVersion": meta.get("resourceVersion", "")}


def path_of(volume: Obj) -> str:
    """Where the folder of a volume is; ``""`` where it is none of this kind."""
    spec = volume["spec"]
    return (spec.get("local") or spec.get("hostPath") or {}).get("path") or ""
