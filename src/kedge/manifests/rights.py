"""What the hub may do, and what its users may: exactly the verbs that are used; a test compares with an audit log."""

from collections.abc import Sequence

from kedge.kube.kinds import Obj

LEASE_NAME = "kedge"


def rule(group: str, resources: Sequence[str], verbs: Sequence[str], *names: str) -> Obj:
    """One rule of a Role."""
    found: Obj = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return found | ({"resourceNames": list(names)} if names else {})


REVIEWS = rule("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"])
"""Asking what a caller may do, in the namespace that it is about."""

RUNS: tuple[Obj, ...] = (
    rule("kedge.dev", ["runs"], ["get", "list", "watch", "create", "patch", "delete"]),
    rule("kedge.dev", ["runs/status"], ["patch"]),
    rule("", ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
    rule("", ["pods/log"], ["get"]),
    rule("", ["configmaps"], ["get", "create", "delete"]),
    rule("", ["persistentvolumeclaims"], ["get", "create", "delete"]),
    rule("", ["events"], ["list", "watch"]),
    rule("metrics.k8s.io", ["pods"], ["list"]),
    REVIEWS,
)
"""In each namespace whose Runs the hub looks at."""

ELECTION: tuple[Obj, ...] = (
    rule("coordination.k8s.io", ["leases"], ["create"]),  # a name cannot be asked for where there is none yet
    rule("coordination.k8s.io", ["leases"], ["get", "update"], LEASE_NAME),
    rule("", ["pods"], ["list", "patch"]),  # the Service leads to the Pod that has the leader's label
)
"""In the hub's own namespace, where there are several hubs."""

USER_ACCOUNT = "kedge-user"
"""The service account as which the command line calls the hub."""
CALL: tuple[Obj, ...] = (
    rule("", ["serviceaccounts"], ["get"], USER_ACCOUNT),
    rule("", ["serviceaccounts/token"], ["create"], USER_ACCOUNT),
)
"""What a user needs in a namespace to call the hub as that one."""
PROXY: tuple[Obj, ...] = (rule("", ["services/proxy"], ["get", "create", "update", "patch", "delete"], "http:kedge:http"),)
"""And in the hub's own, to reach it through the API server."""

_READ = ["get", "list"]
VIEW: tuple[Obj, ...] = (
    rule("pipelines.kubeflow.org", ["runs"], [*_READ, "readArtifact"]),
    rule("pipelines.kubeflow.org", ["pipelines", "pipelines/versions", "experiments", "jobs"], _READ),
)
"""What a reader of a namespace's pipelines may do. These are no rights of the hub: it asks for them."""

EDIT: tuple[Obj, ...] = (
    rule(
        "pipelines.kubeflow.org",
        ["runs"],
        [*_READ, "readArtifact", "create", "delete", "terminate", "retry", "archive", "unarchive"],
    ),
    rule("pipelines.kubeflow.org", ["pipelines", "pipelines/versions"], [*_READ, "create", "update", "delete"]),
    rule("pipelines.kubeflow.org", ["experiments"], [*_READ, "create", "delete", "archive", "unarchive"]),
    rule("pipelines.kubeflow.org", ["jobs"], [*_READ, "create", "delete", "enable", "disable"]),
)
"""What somebody who works with them may do."""
