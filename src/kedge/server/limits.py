"""Admission of Pods and claims by the LimitRanges of their namespace, and the class of service that a Pod has thereafter."""

from kedge.kube import limits
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.limit_ranges import LIMIT_RANGE
from kedge.kube.metadata import is_deleting
from kedge.kube.pods import validate_pod
from kedge.kube.requests import service_class
from kedge.server import metadata
from kedge.server.held import Held
from kedge.server.refusing import forbidden
from kedge.store.types import Store


class Limits:
    """Hook of the server's that fills in what LimitRanges say, and refuses what they forbid.

    Args:
        store: Where LimitRanges lie.
    """

    def __init__(self, store: Store) -> None:
        self._ranges = Held(store, LIMIT_RANGE)

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Look at a Pod that is made, or at a claim that is made or changed: a hook of the server's.

        Raises:
            Forbidden: A bound is broken.
            Invalid: What was filled in contradicts what the Pod says.
        """
        if kind is POD and verb == "create":
            self._admit_pod(new)
        elif kind is PERSISTENT_VOLUME_CLAIM and verb != "delete" and not (old is not None and is_deleting(old)):
            self._refuse(kind, new, [fault for each in self._of(new) for fault in limits.claim_faults(each, new)])

    def _admit_pod(self, pod: Obj) -> None:
        ranges = self._of(pod)
        filled = [limits.fill_in(each, pod) for each in ranges]
        for each in ranges:
            self._refuse(POD, pod, limits.pod_faults(each, pod))
        if any(filled) and (found := validate_pod(pod, None)):
            raise metadata.invalid(POD, pod["metadata"]["name"], found)
        pod["status"] = {**(pod.get("status") or {}), "qosClass": service_class(pod["spec"])}

    def _of(self, obj: Obj) -> list[Obj]:
        return self._ranges.of(obj["metadata"]["namespace"])

    def _refuse(self, kind: Kind, obj: Obj, faults: list[str]) -> None:
        if faults:
            raise forbidden(kind, obj, faults[0] if len(faults) == 1 else f"[{', '.join(dict.fromkeys(faults))}]")
