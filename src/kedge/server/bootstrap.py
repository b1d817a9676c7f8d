"""What every Kubernetes begins with: default roles and bindings, classes of priorities and of volumes.

Made when a host starts, where they are not there; a rule that a default role has lost is given back, as a real API server does,
unless its annotation ``rbac.authorization.kubernetes.io/autoupdate`` says ``"false"``. The names and rules are those of
Kubernetes' defaults, for the resources that can be served here.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from kedge.errors import AlreadyExists, NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.kube.priority_classes import PRIORITY_CLASS, SYSTEM_PRIORITIES
from kedge.kube.roles import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP
from kedge.kube.storage import DEFAULT_CLASS, STORAGE_CLASS
from kedge.server.api import Api

AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_READ, _WRITE = "get list watch", "create delete deletecollection patch update"
_PROBED = "/healthz /livez /readyz"
_REVIEWS = "authorization.k8s.io"
_TOKENS = "authentication.k8s.io"


class _Rule(NamedTuple):
    """One rule; each part is words with spaces between them, ``core`` for the group without a name."""

    verbs: str
    groups: str
    resources: str

    def made(self) -> Obj:
        groups = ["" if group == "core" else group for group in self.groups.split()]
        return {"apiGroups": groups, "resources": self.resources.split(), "verbs": self.verbs.split()}


def _paths(*paths: str, verbs: str = "get") -> Obj:
    return {"nonResourceURLs": sorted(" ".join(paths).split()), "verbs": verbs.split()}


_VIEWED = (
    _Rule(
        _READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
        "replicationcontrollers/scale serviceaccounts services services/status",
    ),
    _Rule(
        _READ,
        "core",
        "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
        "resourcequotas/status",
    ),
    _Rule(_READ, "core", "namespaces"),
    _Rule(_READ, "core events.k8s.io", "events"),
    _Rule(_READ, "discovery.k8s.io", "endpointslices"),
    _Rule(
        _READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
        "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    _Rule(_READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    _Rule(_READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    _Rule(_READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    _Rule(_READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
)
_EDITED = (
    _Rule(_READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    _Rule("impersonate", "core", "serviceaccounts"),
    _Rule(_WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    _Rule("create", "core", "pods/eviction"),
    _Rule(
        _WRITE,
        "core",
        "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services "
        "services/proxy",
    ),
    _Rule("create", "core", "serviceaccounts/token"),
    _Rule(_WRITE, "core events.k8s.io", "events"),
    _Rule(
        _WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
        "statefulsets/scale",
    ),
    _Rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    _Rule(_WRITE, "batch", "cronjobs jobs"),
    _Rule(_WRITE, "policy", "poddisruptionbudgets"),
    _Rule(_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    _Rule("create delete deletecollection get list patch update watch", "coordination.k8s.io", "leases"),
)
_ADMINISTERED = (
    _Rule("create", _REVIEWS, "localsubjectaccessreviews"),
    _Rule("create delete deletecollection get list patch update watch", GROUP, "rolebindings roles"),
)
_NODE = (
    _Rule("create", _TOKENS, "tokenreviews"),
    _Rule("create", _REVIEWS, "localsubjectaccessreviews subjectaccessreviews"),
    _Rule(_READ, "core", "services"),
    _Rule("create get list watch", "core", "nodes"),
    _Rule("patch update", "core", "nodes nodes/status"),
    _Rule("create patch update", "core events.k8s.io", "events"),
    _Rule("get list watch create delete", "core", "pods"),
    _Rule("patch update", "core", "pods/status"),
    _Rule("create", "core", "pods/eviction"),
    _Rule("get", "core", "endpoints"),
    _Rule("create delete get patch update", "coordination.k8s.io", "leases"),
)
_ALL = _Rule("*", "*", "*")
_BASIC = (
    _Rule("create", _REVIEWS, "selfsubjectaccessreviews selfsubjectrulesreviews"),
    _Rule("create", _TOKENS, "selfsubjectreviews"),
)
_DELEGATED = (_Rule("create", _TOKENS, "tokenreviews"), _Rule("create", _REVIEWS, "subjectaccessreviews"))
_DISCOVERED = _paths(f"/api /api/* /apis /apis/* /openapi /openapi/* /version /version/ {_PROBED}")
_PUBLIC = _paths(f"/version /version/ {_PROBED}")
_ISSUER = _paths(
    "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
)
_MONITORED = _paths("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")


def _role(name: str, *rules: _Rule | Obj, to: str = "", of: str = "") -> Obj:
    """A ClusterRole.

    Args:
        name: Its name.
        rules: Its rules.
        to: The role that it is a part of.
        of: The role's own name, where it is put together of others.
    """
    labels = {**_LABELS, **({f"{GROUP}/aggregate-to-{to}": "true"} if to else {})}
    role: Obj = {"metadata": {"name": name, "labels": labels, "annotations": {AUTO_UPDATE: "true"}}}
    role["rules"] = [rule.made() if isinstance(rule, _Rule) else rule for rule in rules]
    if of:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {f"{GROUP}/aggregate-to-{of}": "true"}}]}
    return role


ROLES = (
    _role("cluster-admin", _ALL, _paths("*", verbs="*")),
    _role("system:aggregate-to-view", *_VIEWED, to="view"),
    _role("system:aggregate-to-edit", *_EDITED, to="edit"),
    _role("system:aggregate-to-admin", *_ADMINISTERED, to="admin"),
    _role("view", *_VIEWED, to="edit", of="view"),
    _role("edit", *_EDITED, *_VIEWED, to="admin", of="edit"),
    _role("admin", *_EDITED, *_ADMINISTERED, *_VIEWED, of="admin"),
    _role("system:auth-delegator", *_DELEGATED),
    _role("system:basic-user", *_BASIC),
    _role("system:discovery", _DISCOVERED),
    _role("system:monitoring", _MONITORED, _Rule("get", "core", "nodes/metrics")),
    _role("system:node", *_NODE),
    _role("system:public-info-viewer", _PUBLIC),
    _role("system:service-account-issuer-discovery", _ISSUER),
)
_BOUND = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:monitoring": ("system:monitoring",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
}


def _binding(name: str, groups: tuple[str, ...]) -> Obj:
    return {
        "metadata": {"name": name, "labels": _LABELS, "annotations": {AUTO_UPDATE: "true"}},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "Group", "apiGroup": GROUP, "name": group} for group in groups],
    }


def ensure(api: Api, *, storage_class: str, provisioner: str) -> None:
    """Make what is not there.

    Args:
        api: The server.
        storage_class: Name of the default class of volumes.
        provisioner: Who makes its volumes.
    """
    for role in ROLES:
        _keep_role(api, role)
    for name, groups in _BOUND.items():
        _make(api, CLUSTER_ROLE_BINDING, _binding(name, groups))
    for name, value in SYSTEM_PRIORITIES.items():
        _make(api, PRIORITY_CLASS, {"metadata": {"name": name}, "value": value, "description": _PRIORITIES[name]})
    meta = {"name": storage_class, "annotations": {DEFAULT_CLASS: "true"}}
    _make(api, STORAGE_CLASS, {"metadata": meta, "provisioner": provisioner, "allowVolumeExpansion": True})


_PRIORITIES = {
    "system-node-critical": "For Pods without which a node does not work.",
    "system-cluster-critical": "For Pods without which the cluster does not work.",
}


def _make(api: Api, kind: Kind, obj: Obj) -> None:
    try:
        api.get(kind, obj["metadata"]["name"])
    except NotFound:
        with suppress(AlreadyExists):
            api.create(kind, obj)


def _keep_role(api: Api, role: Obj) -> None:
    try:
        found = api.get(CLUSTER_ROLE, role["metadata"]["name"])
    except NotFound:
        api.create(CLUSTER_ROLE, role)
        return
    annotations: dict[str, Any] = found["metadata"].get("annotations") or {}
    lost = [rule for rule in role["rules"] if rule not in (found.get("rules") or [])]
    if lost and "aggregationRule" not in role and annotations.get(AUTO_UPDATE) != "false":
        api.update(CLUSTER_ROLE, {**found, "rules": [*(found.get("rules") or []), *lost]})
