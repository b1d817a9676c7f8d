"""The schemas of the core kinds: complete, and alike wherever a type is used."""

from collections.abc import Iterator
from typing import Any

import pytest

from kedge.kube.core import KINDS, POD
from kedge.kube.kinds import Kind


def schemas(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A schema and all within it."""
    yield path, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from schemas(schema[part], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_schema_says_what_its_fields_are(kind: Kind) -> None:
    for path, schema in schemas(kind.schema):
        assert schema.get("type") in {"object", "array", "string", "boolean", "integer", "number"} or schema.get(
            "x-kubernetes-int-or-string"
        ), f"{kind.kind}{path} has no type"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_only_what_is_free_in_kubernetes_is_open(kind: Kind) -> None:
    opened = [path for path, schema in schemas(kind.schema) if schema.get("x-kubernetes-preserve-unknown-fields")]
    assert all(path.endswith((".fieldsV1", ".parameters", ".data")) for path in opened), opened


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("spec.containers[].ports[].containerPort", "integer"),
        ("spec.initContainers[].securityContext.capabilities.drop[]", "string"),
        ("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[]", "object"),
        ("spec.ephemeralContainers[].targetContainerName", "string"),
        ("spec.volumes[].ephemeral.volumeClaimTemplate.metadata.labels[]", "string"),
        ("status.containerStatuses[].state.terminated.exitCode", "integer"),
    ],
)
def test_fields_of_a_pod(path: str, wanted: str) -> None:
    found = dict(schemas(POD.schema))
    assert found[f".{path}"]["type"] == wanted
