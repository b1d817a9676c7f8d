"""OpenAPI v3 schemas of the core kinds: every field by name and type, so that one which is misspelt is noticed.

The names and types are a table, ``core_fields.txt``, which ``scripts/core-fields`` writes from Kubernetes' own types; a schema is
made of it when it is first looked at. What breaks a rule of a field's content is refused by `Kind.validate`, whose messages name
the field and what to do.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]

_TABLE = Path(__file__).with_name("core_fields.txt")
_SCALARS: Mapping[str, Schema] = {
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "byte": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"x-kubernetes-int-or-string": True},
    "intorstr": {"x-kubernetes-int-or-string": True},
    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
# What has no default and no meaning when it is left out. Names of Pods' parts are asked for by the rules, with better words.
_REQUIRED: Mapping[str, list[str]] = {
    "PodSpec": ["containers"],
    "Container": ["name"],
    "Volume": ["name"],
    "EnvVar": ["name"],
    "VolumeMount": ["name", "mountPath"],
    "ContainerPort": ["containerPort"],
}
# For ``kubectl explain``.
_TEXTS: Mapping[str, str] = {
    "Pod": "A Pod: containers that run together on one node.",
    "PodSpec": "What the Pod shall be.",
    "PodSpec.restartPolicy": "Always, OnFailure or Never.",
    "PodSpec.activeDeadlineSeconds": "Seconds after which the Pod is ended as failed.",
    "PodSpec.terminationGracePeriodSeconds": "Seconds between SIGTERM and SIGKILL.",
    "PodStatus": "How the Pod is.",
    "PodStatus.phase": "Pending, Running, Succeeded, Failed or Unknown.",
    "PodCondition": "One aspect of how it is.",
    "Container": "One container.",
    "Container.name": "A DNS label, unique in the Pod.",
    "Container.image": "What it runs.",
    "Container.command": "Replaces the image's entry point.",
    "Container.args": "Arguments of the command.",
    "Container.restartPolicy": "Always makes an init container a sidecar.",
    "EnvVar": "One environment variable.",
    "VolumeMount": "Where a volume appears.",
    "ResourceRequirements": "What it asks for and may use.",
    "ContainerPort": "A port it listens on.",
    "Volume": "A volume of the Pod.",
    "Namespace": "A Namespace: a scope for names.",
    "ConfigMap": "A ConfigMap: texts and bytes for Pods.",
    "Secret": "A Secret: like a ConfigMap, for what must not be shown.",
    "ServiceAccount": "A ServiceAccount: who a Pod is.",
    "Event": "An Event: something that happened to an object.",
    "Lease": "A Lease: who leads.",
    "LeaseSpec": "Who holds it and until when.",
    "Node": "A Node: what runs Pods.",
    "PersistentVolumeClaim": "A PersistentVolumeClaim: a folder that outlives the Pods that mount it.",
    "PersistentVolumeClaimSpec": "What is asked for.",
    "PersistentVolumeClaimSpec.accessModes": "ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod.",
    "PersistentVolumeClaimSpec.storageClassName": "Where volumes come from; standard on the embedded host.",
    "PersistentVolumeClaimStatus": "How it is.",
    "PersistentVolumeClaimStatus.phase": "Pending or Bound.",
}


class CoreSchema(Mapping[str, Any]):
    """The schema of one core kind, made when it is first looked at: most processes that know the kinds check nothing.

    Args:
        kind: Name of the kind.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __getitem__(self, key: str) -> Any:
        return _object(self._kind)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_object(self._kind))

    def __len__(self) -> int:
        return len(_object(self._kind))

    def get(self, key: str, default: Any = None) -> Any:
        """As `dict.get`; a missing key is common, and an exception dear."""
        return _object(self._kind).get(key, default)


@cache
def _lines() -> Mapping[str, str]:
    """What the table says of each type, by its name."""
    text = _TABLE.read_text(encoding="ascii")
    found = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: fields for name, _, fields in found}


@cache
def _object(name: str) -> dict[str, Any]:
    """The schema of a type; equal parts are one object in memory."""
    properties: dict[str, Schema] = {}
    for word in _lines()[name].split():
        field, _, kind = word.partition("=")
        schema = _schema(kind or "str")
        text = _TEXTS.get(f"{name}.{field}")
        properties[field] = {**schema, "description": text} if text else schema
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if name in _REQUIRED:
        made["required"] = _REQUIRED[name]
    if name in _TEXTS:
        made["description"] = _TEXTS[name]
    return made


@cache
def _schema(kind: str) -> Schema:
    """The schema of what a field holds, in the table's words."""
    if kind.startswith("[]"):
        return {"type": "array", "items": _schema(kind[2:])}
    if kind.startswith("{}"):
        return {"type": "object", "additionalProperties": _schema(kind[2:])}
    return _SCALARS.get(kind) or _object(kind)
