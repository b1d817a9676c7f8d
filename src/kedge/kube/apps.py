"""The kinds of the group ``apps`` that keep Pods running: their entries in the table of kinds, and what ``kubectl get`` shows.

Their defaults and rules stand in `apps_rules`, what they do in `kedge.workloads`.
"""

from kedge.kube import apps_rules as rules
from kedge.kube.kinds import Column, Kind, Obj, Scale
from kedge.kube.metadata import controller
from kedge.kube.schemas import CoreSchema
from kedge.kube.selectors import selector_text

_GROUP = "apps"
_SCALE = Scale(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))


def _number(obj: Obj, part: str, key: str) -> int:
    return (obj.get(part) or {}).get(key) or 0


def _containers(obj: Obj, key: str) -> str:
    return ",".join(each.get(key) or "" for each in obj["spec"]["template"]["spec"]["containers"])


def _ready(obj: Obj) -> str:
    return f"{_number(obj, 'status', 'readyReplicas')}/{_number(obj, 'spec', 'replicas')}"


def _controller(revision: Obj) -> str:
    owner = controller(revision)
    if owner is None:
        return "<none>"
    group = owner["apiVersion"].partition("/")[0]
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if "/" in owner["apiVersion"] else f"{kind}/{owner['name']}"


WIDE = (
    Column(
        "Containers", lambda obj: _containers(obj, "name"), priority=1, description="Names of each container in the template."
    ),
    Column("Images", lambda obj: _containers(obj, "image"), priority=1, description="Images that the containers run."),
)
_SELECTOR = Column(
    "Selector",
    lambda obj: selector_text(obj["spec"].get("selector")) or "<none>",
    priority=1,
    description="Which Pods are taken for its own.",
)

DEPLOYMENT = Kind(
    "Deployment",
    "deployments",
    group=_GROUP,
    short_names=("deploy",),
    categories=("all",),
    subresources=("status", "scale"),
    schema=CoreSchema("Deployment"),
    scale=_SCALE,
    default=rules.default_deployment,
    validate=rules.validate_deployment,
    columns=(
        Column("Ready", _ready, description="Number of Pods that are ready, of those wanted."),
        Column(
            "Up-to-date",
            lambda obj: str(_number(obj, "status", "updatedReplicas")),
            description="Pods of the newest template.",
        ),
        Column(
            "Available",
            lambda obj: str(_number(obj, "status", "availableReplicas")),
            description="Pods that have been ready for long enough.",
        ),
        *WIDE,
        _SELECTOR,
    ),
)
DAEMON_SET = Kind(
    "DaemonSet",
    "daemonsets",
    group=_GROUP,
    short_names=("ds",),
    categories=("all",),
    subresources=("status",),
    schema=CoreSchema("DaemonSet"),
    default=rules.default_daemon_set,
    validate=rules.validate_daemon_set,
    columns=(
        *(
            Column(title, lambda obj, key=key: _number(obj, "status", key), type="integer", description=text)
            for title, key, text in (
                ("Desired", "desiredNumberScheduled", "Nodes that shall have a Pod."),
                ("Current", "currentNumberScheduled", "Nodes that shall have a Pod and have one."),
                ("Ready", "numberReady", "Nodes whose Pod is ready."),
                ("Up-to-date", "updatedNumberScheduled", "Nodes whose Pod is of the newest template."),
                ("Available", "numberAvailable", "Nodes whose Pod has been ready for long enough."),
            )
        ),
        Column(
            "Node Selector",
            lambda obj: selector_text({"matchLabels": obj["spec"]["template"]["spec"].get("nodeSelector")}) or "<none>",
            description="The labels that its nodes have.",
        ),
        *WIDE,
        _SELECTOR,
    ),
)
REPLICA_SET = Kind(
    "ReplicaSet",
    "replicasets",
    group=_GROUP,
    short_names=("rs",),
    categories=("all",),
    subresources=("status", "scale"),
    schema=CoreSchema("ReplicaSet"),
    scale=_SCALE,
    default=rules.default_replica_set,
    validate=rules.validate_replica_set,
    columns=(
        Column("Desired", lambda obj: _number(obj, "spec", "replicas"), type="integer", description="Pods that are wanted."),
        Column("Current", lambda obj: _number(obj, "status", "replicas"), type="integer", description="Pods that are there."),
        Column("Ready", lambda obj: _number(obj, "status", "readyReplicas"), type="integer", description="Pods that are ready."),
        *WIDE,
        _SELECTOR,
    ),
)
STATEFUL_SET = Kind(
    "StatefulSet",
    "statefulsets",
    group=_GROUP,
    short_names=("sts",),
    categories=("all",),
    subresources=("status", "scale"),
    schema=CoreSchema("StatefulSet"),
    scale=_SCALE,
    default=rules.default_stateful_set,
    validate=rules.validate_stateful_set,
    columns=(Column("Ready", _ready, description="Number of Pods that are ready, of those wanted."), *WIDE),
)
CONTROLLER_REVISION = Kind(
    "ControllerRevision",
    "controllerrevisions",
    group=_GROUP,
    schema=CoreSchema("ControllerRevision"),
    default=rules.default_revision,
    validate=rules.validate_revision,
    columns=(
        Column("Controller", _controller, description="Whose state it keeps."),
        Column("Revision", lambda obj: str(obj.get("revision") or 0), description="Which state, in their order."),
    ),
)

KINDS: tuple[Kind, ...] = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, CONTROLLER_REVISION)
