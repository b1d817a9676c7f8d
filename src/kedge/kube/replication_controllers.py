"""ReplicationControllers: what ReplicaSets were before there were Deployments, with a selector that is nothing but labels."""

from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube.apps import WIDE
from kedge.kube.apps_rules import replica_counts
from kedge.kube.columns import field, tolerant
from kedge.kube.faults import invalid, not_negative, required
from kedge.kube.kinds import Column, Kind, Obj, Scale
from kedge.kube.schemas import CoreSchema
from kedge.kube.selectors import selector_text
from kedge.kube.templates import TEMPLATE, default_template, running_faults


def default(obj: Obj) -> None:
    """Fill in what a real API server fills in: who names no labels means those of the template."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        obj["metadata"]["labels"] = obj["metadata"].get("labels") or dict(labels)
    obj.setdefault("status", {"replicas": 0})


def validate(new: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    causes = list(replica_counts(new))
    if old is None or new["spec"] != old["spec"]:
        causes += _spec_faults(new["spec"])
    return causes


def _spec_faults(spec: Obj) -> Iterator[Cause]:
    yield from not_negative(spec, "spec", "minReadySeconds")
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        yield required("spec.selector")
    yield from not_negative(spec, "spec", "replicas")
    if template is None:
        yield required(TEMPLATE)
        return
    labels = (template.get("metadata") or {}).get("labels")
    if not selector.items() <= (labels or {}).items():
        yield invalid(f"{TEMPLATE}.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from running_faults(template, "ReplicationController")


REPLICATION_CONTROLLER = Kind(
    "ReplicationController",
    "replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    subresources=("status", "scale"),
    schema=CoreSchema("ReplicationController"),
    scale=Scale(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"), by_labels=True),
    default=default,
    validate=validate,
    columns=tolerant(
        Column("Desired", field("spec", "replicas", default=0), type="integer", description="Pods that are wanted."),
        Column("Current", field("status", "replicas", default=0), type="integer", description="Pods that are there."),
        Column("Ready", field("status", "readyReplicas", default=0), type="integer", description="Pods that are ready."),
        *WIDE,
        Column(
            "Selector",
            lambda obj: selector_text({"matchLabels": obj["spec"].get("selector")}) or "<none>",
            priority=1,
            description="Which Pods are taken for its own.",
        ),
    ),
)
