"""The kinds that every host serves: a new one is one entry here (a feature's own kinds stand in the feature).

Each entry names what the server needs to route, default, check and print the kind. What the larger ones need stands beside this
file: `pods` and `claims` (rules), `columns` (``kubectl get``), `schemas` (OpenAPI).
"""

from kedge.errors import Cause
from kedge.kube import (
    autoscaling,
    autoscaling_v1,
    batch,
    columns,
    disruption_budgets,
    endpoint_slices,
    endpoints,
    events,
    faults,
    jobset,
    limit_ranges,
    networking,
    pod_columns,
    priority_classes,
    replication_controllers,
    resource_quotas,
    reviews,
    roles,
    services,
    storage,
)
from kedge.kube.claims import default_claim, validate_claim
from kedge.kube.configuration import default_secret, validate_config_map, validate_secret
from kedge.kube.kinds import VERBS, Kind, Obj
from kedge.kube.placement import validate_node
from kedge.kube.pods import default_pod, validate_pod
from kedge.kube.schemas import CoreSchema


def _default_namespace(namespace: Obj) -> None:
    spec = namespace.setdefault("spec", {})
    spec.setdefault("finalizers", ["kubernetes"])
    status = namespace.setdefault("status", {})
    status.setdefault("phase", "Active")
    # Selectors find a namespace by its name through this label, on every host.
    labels = namespace.setdefault("metadata", {}).setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = namespace["metadata"].get("name", "")


def _default_event(event: Obj) -> None:
    event.setdefault("type", "Normal")
    event.setdefault("source", {})


def _validate_lease(lease: Obj, old: Obj | None) -> list[Cause]:
    del old
    spec: Obj = lease.get("spec") or {}
    found: list[Cause] = []
    if (seconds := spec.get("leaseDurationSeconds")) is not None and seconds <= 0:
        found.append(faults.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    found += faults.not_negative(spec, "spec", "leaseTransitions")
    if spec.get("preferredHolder") and not spec.get("strategy"):
        why = "may only be specified if `strategy` is defined"
        found.append(faults.invalid("spec.preferredHolder", spec["preferredHolder"], why))
    return found


def _validate_event(new: Obj, old: Obj | None) -> list[Cause]:
    del old
    about, space = (new.get("involvedObject") or {}).get("namespace") or "", new["metadata"].get("namespace")
    if about == space or (not about and space in ({"default", "kube-system"} if new.get("eventTime") else {"default"})):
        return []
    return [faults.invalid("involvedObject.namespace", about, "does not match event.namespace")]


NAMESPACE = Kind(
    "Namespace",
    "namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
    subresources=("status", "finalize"),
    counted=False,
    name_faults=faults.label,
    schema=CoreSchema("Namespace"),
    field_selectors=("status.phase",),
    default=_default_namespace,
    columns=columns.NAMESPACE,
)
POD = Kind(
    "Pod",
    "pods",
    short_names=("po",),
    categories=("all",),
    subresources=("status", "log", "exec", "attach", "portforward", "eviction", "binding"),
    schema=CoreSchema("Pod"),
    field_selectors=(
        "status.phase",
        "status.podIP",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.nominatedNodeName",
    ),
    default=default_pod,
    validate=validate_pod,
    columns=pod_columns.POD,
)
CONFIG_MAP = Kind(
    "ConfigMap",
    "configmaps",
    short_names=("cm",),
    schema=CoreSchema("ConfigMap"),
    validate=validate_config_map,
    columns=columns.CONFIG_MAP,
)
SECRET = Kind(
    "Secret",
    "secrets",
    schema=CoreSchema("Secret"),
    field_selectors=("type",),
    default=default_secret,
    validate=validate_secret,
    columns=columns.SECRET,
)
SERVICE_ACCOUNT = Kind(
    "ServiceAccount",
    "serviceaccounts",
    short_names=("sa",),
    subresources=("token",),
    schema=CoreSchema("ServiceAccount"),
    columns=columns.SERVICE_ACCOUNT,
)
EVENT = Kind(
    "Event",
    "events",
    short_names=("ev",),
    schema=CoreSchema("Event"),
    field_selectors=(
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    default=_default_event,
    validate=_validate_event,
    columns=columns.EVENT,
    aged=False,
)
LEASE = Kind(
    "Lease",
    "leases",
    group="coordination.k8s.io",
    schema=CoreSchema("Lease"),
    validate=_validate_lease,
    columns=columns.LEASE,
)
NODE = Kind(
    "Node",
    "nodes",
    namespaced=False,
    short_names=("no",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("Node"),
    field_selectors=("spec.unschedulable",),
    validate=validate_node,
    columns=columns.NODE,
)
PERSISTENT_VOLUME_CLAIM = Kind(
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    short_names=("pvc",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("PersistentVolumeClaim"),
    default=default_claim,
    validate=validate_claim,
    columns=columns.PERSISTENT_VOLUME_CLAIM,
)
BINDING = Kind("Binding", "bindings", verbs=("create",), schema=CoreSchema("Binding"))

KINDS: tuple[Kind, ...] = (
    NAMESPACE,
    POD,
    CONFIG_MAP,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT,
    events.EVENT,
    LEASE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    BINDING,
    *reviews.KINDS,
    services.SERVICE,
    endpoints.ENDPOINTS,
    endpoint_slices.ENDPOINT_SLICE,
    *storage.KINDS,
    limit_ranges.LIMIT_RANGE,
    resource_quotas.RESOURCE_QUOTA,
    disruption_budgets.POD_DISRUPTION_BUDGET,
    priority_classes.PRIORITY_CLASS,
    replication_controllers.REPLICATION_CONTROLLER,
    *networking.KINDS,
    *autoscaling.KINDS,
    *autoscaling_v1.KINDS,
    *roles.KINDS,
    *batch.KINDS,
    jobset.JOBSET,
)
