"""The kinds of which an installation consists."""

from kedge.kube.core import CONFIG_MAP, NAMESPACE, PERSISTENT_VOLUME_CLAIM, SERVICE_ACCOUNT
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj

_RBAC = "rbac.authorization.k8s.io"
SERVICE = Kind("Service", "services", subresources=("proxy",))
DEPLOYMENT = Kind("Deployment", "deployments", group="apps", subresources=("status", "scale"))
JOB = Kind("Job", "jobs", group="batch", subresources=("status",))
DISRUPTION_BUDGET = Kind("PodDisruptionBudget", "poddisruptionbudgets", group="policy", subresources=("status",))
ROLE = Kind("Role", "roles", group=_RBAC)
ROLE_BINDING = Kind("RoleBinding", "rolebindings", group=_RBAC)
CLUSTER_ROLE = Kind("ClusterRole", "clusterroles", group=_RBAC, namespaced=False)
CLUSTER_ROLE_BINDING = Kind("ClusterRoleBinding", "clusterrolebindings", group=_RBAC, namespaced=False)

ORDER = (
    *(NAMESPACE, CRD, SERVICE_ACCOUNT, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, CONFIG_MAP),
    *(PERSISTENT_VOLUME_CLAIM, SERVICE, DISRUPTION_BUDGET, DEPLOYMENT),
)
"""In the order in which they are made: what comes later needs what came before."""
PRUNED = (DEPLOYMENT, DISRUPTION_BUDGET, SERVICE, ROLE_BINDING, ROLE, CLUSTER_ROLE_BINDING, CLUSTER_ROLE, SERVICE_ACCOUNT, JOB)
"""What an upgrade deletes when an installation has it no more, and an uninstallation in any case: nothing that holds data."""


def kind_of(obj: Obj) -> Kind:
    """The kind of an object that an installation consists of.

    Examples:
        >>> kind_of({"apiVersion": "apps/v1", "kind": "Deployment"}).plural
        'deployments'
    """
    return next(kind for kind in (*ORDER, JOB) if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]))
