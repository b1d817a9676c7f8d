"""What a node may do, as Kubernetes' Node authorizer has it: its own Node and Lease, its own Pods, and what those need.

Whether a Secret belongs to one of its Pods is looked up in the stored Pods of that namespace: nodes ask for few. What a node may
write into these objects is `node_restriction`'s.
"""

from collections.abc import Iterator

from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.kube.pods import CONTAINER_LISTS
from kedge.server.auth import User
from kedge.server.core import Core, Target, prefix
from kedge.server.rights import Asked, Rights

NODES = "system:nodes"
PREFIX = "system:node:"
LEASES = "kube-node-lease"
_ROLE = "system:node"
_NO_RELATION = "no relationship found between node '{}' and this object"
# What a Pod's node reads of each resource, and with which verbs.
_RELATED = {
    ("", "secrets"): {"get", "list", "watch"},
    ("", "configmaps"): {"get", "list", "watch"},
    ("", "persistentvolumeclaims"): {"get"},
    ("", "persistentvolumeclaims/status"): {"get", "update", "patch"},
    ("", "persistentvolumes"): {"get"},
    ("", "serviceaccounts"): {"get"},
    ("", "serviceaccounts/token"): {"create"},
}

# The keys under which volumes and variables name something: what it is, and where its name stands.
_SOURCES = {
    "secret": ("secrets", "secretName"),
    "configMap": ("configmaps", "name"),
    "persistentVolumeClaim": ("persistentvolumeclaims", "claimName"),
    "secretKeyRef": ("secrets", "name"),
    "configMapKeyRef": ("configmaps", "name"),
    "secretRef": ("secrets", "name"),
    "configMapRef": ("configmaps", "name"),
}


class NodeRights:
    """Decides for nodes.

    Args:
        core: The server, whose Pods decide.
        rights: Where the role of nodes is found, for everything that is bound to no node.
    """

    def __init__(self, core: Core, rights: Rights) -> None:
        self._core = core
        self._rights = rights

    def why_not(self, user: User, asked: Asked) -> str | None:
        """Why a node may not do something; ``""`` where there is no more to say, ``None`` where it may."""
        node = user.name.removeprefix(PREFIX) if user.name.startswith(PREFIX) else ""
        if not node:
            return "unknown node for user " + f'"{user.name}"'
        where = (asked.group, asked.resource)
        if verbs := _RELATED.get(where):
            return self._related(node, asked, verbs)
        if where == ("coordination.k8s.io", "leases"):
            return _lease(node, asked)
        if where in {("", "nodes"), ("", "nodes/status")} and (why := _own_node(node, asked)):
            return why
        if asked.resource.partition("/")[0] == "pods" and not asked.group and (why := self._own_pods(node, asked)):
            return why
        rules = self._rights.role("ClusterRole", _ROLE) or ()
        return None if any(rule.allows(asked) for rule in rules) else ""

    def _related(self, node: str, asked: Asked, verbs: set[str]) -> str | None:
        if asked.verb not in verbs:
            return f"can only read resources of this type: {', '.join(sorted(verbs))}"
        if not asked.name:
            return "No Object name found"
        for pod in self._pods(node, asked.namespace):
            if (asked.resource.partition("/")[0], asked.name) in self._needs(pod):
                return None
        return _NO_RELATION.format(node)

    def _own_pods(self, node: str, asked: Asked) -> str:
        if asked.verb in {"list", "watch"}:
            wanted = {f"spec.nodeName={node}", f"spec.nodeName=={node}"}
            return "" if wanted & set(asked.fields.split(",")) else "can only list/watch pods with spec.nodeName field selector"
        if asked.verb == "create" and asked.resource == "pods":
            return ""  # mirror Pods
        own = any(pod["metadata"]["name"] == asked.name for pod in self._pods(node, asked.namespace))
        return "" if own else _NO_RELATION.format(node)

    def _pods(self, node: str, namespace: str) -> Iterator[Obj]:
        for record in self._core.store.list(prefix(Target(POD, namespace or None))).records:
            pod = self._core.glance(record, POD)
            if (pod.get("spec") or {}).get("nodeName") == node:
                yield pod

    def _needs(self, pod: Obj) -> set[tuple[str, str]]:
        found = {*named(pod["spec"])}
        if account := pod["spec"].get("serviceAccountName"):  # a Pod that stands for a file of its node has none
            found.add(("serviceaccounts", account))
        for plural, claim in tuple(found):
            if plural == "persistentvolumeclaims":
                place = Target(PERSISTENT_VOLUME_CLAIM, pod["metadata"].get("namespace"), claim)
                record = self._core.store.get(prefix(place) + claim)
                volume = (
                    (self._core.glance(record, PERSISTENT_VOLUME_CLAIM).get("spec") or {}).get("volumeName")
                    if record is not None
                    else None
                )
                if volume:
                    found.add(("persistentvolumes", volume))
        return found


def _own_node(node: str, asked: Asked) -> str:
    if asked.verb in {"list", "watch"} and asked.name != node:
        return f"node '{node}' cannot read all nodes, only its own Node object"
    if asked.verb == "get" and asked.name != node:
        return f"node '{node}' cannot read '{asked.name}', only its own Node object"
    if asked.verb in {"update", "patch"} and asked.name != node:
        return f'node "{node}" is not allowed to modify node "{asked.name}"'
    return ""


def _lease(node: str, asked: Asked) -> str | None:
    if asked.verb not in {"get", "create", "update", "patch", "delete"}:
        return "can only get, create, update, patch, or delete a node lease"
    if asked.namespace != LEASES:
        return f'can only access leases in the "{LEASES}" system namespace'
    if asked.verb != "create" and asked.name != node:
        return "can only access node lease with the same name as the requesting node"
    return None


def named(spec: Obj) -> Iterator[tuple[str, str]]:
    """What a Pod's spec names: plural and name."""
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for volume in spec.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield from _named(source)
    for part in CONTAINER_LISTS:
        for container in spec.get(part) or ():
            for variable in container.get("env") or ():
                yield from _named(variable.get("valueFrom") or {})
            for source in container.get("envFrom") or ():
                yield from _named(source)


def _named(source: Obj) -> Iterator[tuple[str, str]]:
    for key, (plural, name) in _SOURCES.items():
        if (found := source.get(key)) is not None:
            yield plural, found.get(name) or found.get("name") or ""
