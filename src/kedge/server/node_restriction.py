"""What a node may write into the objects that it may write at all: Kubernetes' admission plugin NodeRestriction, in its words.

Whoever has a machine has its node's certificate: this, with what `nodes` lets a node read, is what keeps the rest of a host from
it. A node makes no Pod but one that stands for a file of its own, gets no token but one of its Pods', and gives itself no label
by which others choose where to run what they must not lose.
"""

from collections.abc import Iterator
from typing import Any

from kedge.kube.core import LEASE, NODE, PERSISTENT_VOLUME_CLAIM, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.pods import MIRROR
from kedge.server.auth import User
from kedge.server.core import Core, Target, key
from kedge.server.nodes import LEASES, NODES, PREFIX, named
from kedge.server.refusing import forbidden

_OWN_LABELS = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "node.kubernetes.io/windows-build",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBERNETES = ("kubernetes.io", "k8s.io")
_KEPT = ("node-restriction.kubernetes.io",)
# What a node says of a claim's volume that it has made larger.
_OF_CLAIMS = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")


def restrict(core: Core, user: User, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Refuse what a node may not write; whoever is none writes what their rights say.

    Args:
        core: The server.
        user: Who writes.
        kind: The object's kind.
        new: As it is to be stored.
        old: As it is stored; ``None`` where it is new.

    Raises:
        Forbidden: Names what it is.
    """
    if NODES not in user.groups:
        return
    node = user.name.removeprefix(PREFIX)
    faults: Iterator[str] = iter(())
    if kind is NODE:
        faults = _node_faults(node, new, old)
    elif kind is POD:
        faults = _mirror_faults(core, node, new) if old is None else _status_faults(node, new, old)
    elif kind is LEASE:
        faults = _lease_faults(node, new)
    elif kind is PERSISTENT_VOLUME_CLAIM:
        faults = _claim_faults(node, new, old)
    if why := next(faults, ""):
        raise forbidden(kind, new, why)


def restrict_token(core: Core, user: User, target: Target, request: Any) -> None:
    """Refuse a node a token that is bound to no Pod of its own.

    Args:
        core: The server.
        user: Who asks.
        target: The service account.
        request: The ``TokenRequest``, as it was sent.

    Raises:
        Forbidden: Says what it must be bound to.
        NotFound: There is no such Pod.
    """
    if NODES not in user.groups:
        return
    spec: Any = request.get("spec") if isinstance(request, dict) else None
    reference: Any = spec.get("boundObjectRef") if isinstance(spec, dict) else None
    if why := next(_token_faults(core, user.name.removeprefix(PREFIX), target.namespace, reference), ""):
        raise forbidden(SERVICE_ACCOUNT, {"metadata": {"name": target.name}}, why)


def _node_faults(node: str, new: Obj, old: Obj | None) -> Iterator[str]:
    name, spec = new["metadata"]["name"], new.get("spec") or {}
    if node != name:
        yield f'node "{node}" is not allowed to modify node "{name}"'
    changed = _kept_labels(new, old)
    if old is None:
        if spec.get("configSource") is not None:
            yield f'node "{node}" is not allowed to create pods with a non-nil configSource'
        if changed:
            yield f'node "{node}" is not allowed to set the following labels: {changed}'
        return
    if (spec.get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
        yield f'node "{node}" is not allowed to modify taints'
    if changed:
        yield f"is not allowed to modify labels: {changed}"


def _kept_labels(new: Obj, old: Obj | None) -> str:
    """The labels among those that change which are not a node's to set."""
    labels, had = ((each or {}).get("metadata", {}).get("labels") or {} for each in (new, old))
    return ", ".join(sorted(each for each in labels.keys() | had.keys() if labels.get(each) != had.get(each) and _is_kept(each)))


def _is_kept(label: str) -> bool:
    domain = label.partition("/")[0] if "/" in label else ""
    return _is_of(domain, _KEPT) or (
        _is_of(domain, _KUBERNETES) and label not in _OWN_LABELS and not _is_of(domain, _OWN_DOMAINS)
    )


def _is_of(domain: str, others: tuple[str, ...]) -> bool:
    return any(domain == other or domain.endswith("." + other) for other in others)


def _mirror_faults(core: Core, node: str, pod: Obj) -> Iterator[str]:
    meta, spec = pod["metadata"], pod["spec"]
    if MIRROR not in (meta.get("annotations") or {}):
        yield f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if spec.get("nodeName") != node:
        yield f'node "{node}" can only create pods with spec.nodeName set to itself'
    yield from _owner_faults(core, node, meta.get("ownerReferences") or [])
    if spec.get("serviceAccountName"):
        yield f'node "{node}" can not create pods that reference a service account'
    for plural in ("secrets", "configmaps", "persistentvolumeclaims"):
        if any(each == plural for each, _ in named(spec)):
            yield f'node "{node}" can not create pods that reference {plural}'


def _owner_faults(core: Core, node: str, owners: list[Obj]) -> Iterator[str]:
    if len(owners) > 1:
        yield f'node "{node}" can only create pods with a single owner reference set to itself'
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != (NODE.api_version, NODE.kind, node):
        yield f'node "{node}" can only create pods with an owner reference set to itself'
    if not owner.get("controller"):
        yield f'node "{node}" can only create pods with a controller owner reference set to itself'
    if owner.get("blockOwnerDeletion"):
        yield f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    record = core.store.get(key(Target(NODE, name=node)))
    uid = core.load(record, NODE)["metadata"]["uid"] if record is not None else ""
    if not uid or uid != owner.get("uid"):
        yield f"node {node} UID mismatch: expected {owner.get('uid')} got {uid}"


def _status_faults(node: str, new: Obj, old: Obj) -> Iterator[str]:
    if (old.get("spec") or {}).get("nodeName") != node:
        yield f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'  # noqa: S608  # no SQL
    if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        yield f'node "{node}" cannot update labels through pod status'


def _lease_faults(node: str, lease: Obj) -> Iterator[str]:
    if lease["metadata"].get("namespace") != LEASES:
        yield f'can only access leases in the "{LEASES}" system namespace'
    if lease["metadata"]["name"] != node:
        yield "can only access node lease with the same name as the requesting node"


def _claim_faults(node: str, new: Obj, old: Obj | None) -> Iterator[str]:
    if old is None:
        yield "may only update PVC status"
    elif _beyond_volume(new) != _beyond_volume(old):
        yield f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'


def _beyond_volume(claim: Obj) -> Obj:
    meta = {name: value for name, value in claim["metadata"].items() if name not in {"resourceVersion", "managedFields"}}
    status = {name: value for name, value in (claim.get("status") or {}).items() if name not in _OF_CLAIMS}
    return {**claim, "metadata": meta, "status": status}


def _token_faults(core: Core, node: str, namespace: str | None, reference: Any) -> Iterator[str]:
    given: Obj = reference if isinstance(reference, dict) else {}
    if (given.get("apiVersion"), given.get("kind")) != (POD.api_version, POD.kind) or not given.get("name"):
        yield "node requested token not bound to a pod"
    if not given.get("uid"):
        yield "node requested token with a pod binding without a uid"
    place = Target(POD, namespace, str(given["name"]))
    pod = core.load(core.find(place), POD)
    if given["uid"] != pod["metadata"]["uid"]:
        yield (
            f"the UID in the bound object reference ({given['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    if (pod.get("spec") or {}).get("nodeName") != node:
        yield "node requested token bound to a pod scheduled on a different node"
