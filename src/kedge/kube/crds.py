"""CustomResourceDefinitions: kinds that users add, and what a cluster must be told of ours before it serves them."""

from collections.abc import Mapping
from typing import Any

from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema
from kedge.kube.structural import definition

CRD = Kind(
    "CustomResourceDefinition",
    "customresourcedefinitions",
    group="apiextensions.k8s.io",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=("status",),
    schema=CoreSchema("CustomResourceDefinition"),
    default=definition.default,
    validate=definition.faults,
    prune=definition.prune,
    columns=(Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp"), description="When it was created."),),
    aged=False,
)


def crd(kind: Kind) -> Obj:
    """The definition with which a cluster serves a kind.

    What `Kind.validate` checks beyond the schema a cluster cannot check: the controller does, and says so in the object's status.

    Args:
        kind: One of our own, with a schema.
    """
    version: Obj = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _plain(kind.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})},
        "subresources": {name: {} for name in kind.subresources if name in {"status", "scale"}},
        "additionalPrinterColumns": [
            *(
                {
                    "name": column.name,
                    "type": column.type,
                    "jsonPath": column.path,
                    "priority": column.priority,
                    **({"description": column.description} if column.description else {}),
                }
                for column in kind.columns
                if column.path
            ),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 0},
        ],
    }
    if kind.field_selectors:
        version["selectableFields"] = [{"jsonPath": f".{path}"} for path in kind.field_selectors]
    names: Obj = {"kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural, "singular": kind.kind.lower()}
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    if kind.categories:
        names["categories"] = list(kind.categories)
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": kind.resource, "labels": {"app.kubernetes.io/managed-by": "kedge"}},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def is_established(definition: Obj) -> bool:
    """Whether the cluster serves the kind already."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _plain(value: Any) -> Any:
    """A schema as JSON, without what belongs to tables in memory."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
