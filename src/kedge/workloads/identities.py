"""The Pods of a StatefulSet: their names and numbers, what they are made of, and the claims that stay theirs."""

import re
from collections.abc import Iterable, Iterator

from kedge.kube.apps import STATEFUL_SET
from kedge.kube.apps_rules import DELETE
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import controller, labels_of, owner_reference, owners, uid_of, with_metadata
from kedge.workloads import replicas
from kedge.workloads.revisions import LABEL

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-(0|[1-9][0-9]*)", re.DOTALL)


def ordinal_of(owner: Obj, pod: Obj) -> int | None:
    """The number in a Pod's name; ``None`` when the name is not one of the owner's.

    Examples:
        >>> ordinal_of({"metadata": {"name": "db"}}, {"metadata": {"name": "db-12"}})
        12
    """
    match = _NAME.fullmatch(pod["metadata"]["name"])
    return int(match[2]) if match and match[1] == owner["metadata"]["name"] else None


def wanted(owner: Obj) -> range:
    """The numbers of the Pods that shall be."""
    start = (owner["spec"].get("ordinals") or {}).get("start") or 0
    return range(start, start + owner["spec"]["replicas"])


def claims_of(owner: Obj, ordinal: int) -> dict[str, Obj]:
    """The claims of a Pod as they are made, by the name of the volume that each is of."""
    found = dict[str, Obj]()
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        meta = template.get("metadata") or {}
        labels = {**(meta.get("labels") or {}), **(owner["spec"]["selector"].get("matchLabels") or {})}
        made: Obj = {
            "name": f"{meta['name']}-{owner['metadata']['name']}-{ordinal}",
            "namespace": owner["metadata"]["namespace"],
        }
        if labels:
            made["labels"] = labels
        if meta.get("annotations"):
            made["annotations"] = meta["annotations"]
        if _policy(owner, "whenDeleted"):
            made["ownerReferences"] = [owner_reference(STATEFUL_SET, owner)]
        found[meta["name"]] = {"metadata": made, "spec": template["spec"]}
    return found


def kept(owner: Obj, claim: Obj, pod: Obj | None) -> Obj:
    """A claim with the owners that the policy of retention wants.

    Args:
        owner: The StatefulSet.
        claim: The claim, as it is.
        pod: The Pod that goes because the StatefulSet was scaled down; ``None`` for one that stays.
    """
    name = owner["metadata"]["name"]
    rest = [each for each in owners(claim) if not _is_ours(each, name, uid_of(owner))]
    mine = list[Obj]()
    if pod is not None and _policy(owner, "whenScaled"):
        mine = [owner_reference(POD, pod)]
    elif _policy(owner, "whenDeleted"):
        mine = [owner_reference(STATEFUL_SET, owner)]
    if mine and any(each.get("controller") for each in rest):
        return claim  # somebody else's
    return claim if [*rest, *mine] == owners(claim) else with_metadata(claim, ownerReferences=[*rest, *mine] or None)


def _is_ours(reference: Obj, name: str, uid: str) -> bool:
    match = _NAME.fullmatch(reference["name"])
    ours = reference["kind"] == POD.kind and match is not None and match[1] == name
    return reference["uid"] == uid or ours


def _policy(owner: Obj, when: str) -> bool:
    return (owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(when) == DELETE


def pod_of(owner: Obj, template: Obj, revision: str, ordinal: int) -> Obj:
    """A Pod as it is made.

    Args:
        owner: The StatefulSet.
        template: The template of its revision.
        revision: The name of that revision.
        ordinal: Its number.
    """
    name = f"{owner['metadata']['name']}-{ordinal}"
    pod = replicas.new_pod(STATEFUL_SET, owner, template, name)
    labels = {**labels_of(pod), NAME_LABEL: name, INDEX_LABEL: str(ordinal), LABEL: revision}
    spec = {**pod["spec"], "hostname": name}
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    if claims := claims_of(owner, ordinal):
        volumes: list[Obj] = template["spec"].get("volumes") or []
        own = [each for each in volumes if each["name"] not in claims]
        mounted = (
            {"name": volume, "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
            for volume, claim in claims.items()
        )
        spec["volumes"] = [*own, *mounted]
    return with_metadata({**pod, "spec": spec}, labels=labels)


def identified(owner: Obj, pod: Obj, ordinal: int) -> Obj:
    """A Pod with the labels that say which it is, should it have lost them."""
    labels = {**labels_of(pod), NAME_LABEL: pod["metadata"]["name"], INDEX_LABEL: str(ordinal)}
    mine = (controller(pod) or {}).get("uid") == uid_of(owner)
    return pod if not mine or labels == labels_of(pod) else with_metadata(pod, labels=labels)


def revision_of(pod: Obj) -> str:
    """The name of the revision that a Pod was made of."""
    return labels_of(pod).get(LABEL) or ""


def by_ordinal(owner: Obj, pods: Iterable[Obj]) -> Iterator[tuple[int, Obj]]:
    """Pods with their numbers, the lowest first; those without one are left out."""
    numbered = [(number, pod) for pod in pods if (number := ordinal_of(owner, pod)) is not None]
    yield from sorted(numbered, key=lambda pair: pair[0])
