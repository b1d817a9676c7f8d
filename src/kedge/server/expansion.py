"""Admission of claims that shall grow: their StorageClass must say that they may."""

from kedge.kube import quantities
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.kinds import Kind, Obj
from kedge.kube.storage import STORAGE_CLASS
from kedge.server.held import Held
from kedge.server.refusing import forbidden
from kedge.store.types import Store

_WHY = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"


class Expansion:
    """Hook of the server's that refuses claims which grow although their class does not let them.

    Args:
        store: Where StorageClasses lie.
    """

    def __init__(self, store: Store) -> None:
        self._classes = Held(store, STORAGE_CLASS)

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Look at a claim that is changed: a hook of the server's.

        Raises:
            Forbidden: It shall grow, and may not.
        """
        if kind is not PERSISTENT_VOLUME_CLAIM or verb != "update" or old is None:
            return
        before, after = _asked(old), _asked(new)
        if quantities.fault(before) or quantities.fault(after) or quantities.parse(after) <= quantities.parse(before):
            return
        class_ = self._classes.get(old["spec"].get("storageClassName") or "") or {}
        if (old.get("status") or {}).get("phase") == "Bound" and not class_.get("allowVolumeExpansion"):
            raise forbidden(kind, new, _WHY)


def _asked(claim: Obj) -> str:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0"
