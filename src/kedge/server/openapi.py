"""OpenAPI documents of the kinds: what ``kubectl explain``, ``apply``, ``edit`` and ``replace`` read before they send anything.

`kubectl` asks for two things: that a kind's PATCH has a ``fieldValidation`` parameter (validation is then the server's), and the
schema for ``explain``. Strategic-merge details are not told: for built-in kinds clients have them compiled in.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from kedge.errors import NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.server import openapi_protobuf
from kedge.server.registry import Registry
from kedge.server.schema import METADATA

_META_NAME = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_META_TEXTS = {
    "name": "Unique within a namespace; cannot be changed.",
    "namespace": "The space in which the name is unique.",
    "labels": "Map of keys and values by which objects are selected.",
    "annotations": "Map of keys and values that tools keep with the object.",
    "ownerReferences": "Objects that this one depends on: it is deleted when all of them are gone.",
    "finalizers": "Who has to let go before the object is deleted for good.",
    "resourceVersion": "The server's number for this state of the object.",
    "uid": "Unique in time and space; given by the server.",
    "generateName": "A prefix; the server makes a unique name of it.",
    "creationTimestamp": "When the object was created.",
    "deletionTimestamp": "When the object was, or is to be, deleted.",
}
_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation", "pretty")
]


class Documents:
    """The documents, each made when it is first asked for.

    Args:
        registry: What is served.
        version: Kedge's version, for ``info``.
    """

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry = registry
        self._info = {"title": "Kedge", "version": version}
        self._made: dict[str, bytes] = {}

    def index(self) -> Obj:
        """The body of ``/openapi/v3``: where each group's document is, by its content."""
        places = [_place(name, version) for name, versions in self._registry.groups.items() for version in versions]
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}?hash={self._digest(place)}"} for place in places}}

    def group(self, place: str) -> bytes:
        """The document of ``api/v1`` or ``apis/GROUP/VERSION``, JSON.

        Raises:
            NotFound: No such group is served.
        """
        if place not in self._made:
            self._made[place] = msgspec.json.encode(self._document(place))
        return self._made[place]

    def whole(self) -> Obj:
        """The body of ``/openapi/v2``: all schemas, for clients that know no v3."""
        definitions: Obj = {_META_NAME: _metadata_schema()}
        for kind in self._registry:
            definitions[_schema_name(kind)] = _schema(kind, "#/definitions/")
        return {"swagger": "2.0", "info": self._info, "paths": {}, "definitions": definitions}

    def whole_protobuf(self) -> bytes:
        """The same as protobuf."""
        return openapi_protobuf.encode(self.whole())

    def _digest(self, place: str) -> str:
        return hashlib.sha256(self.group(place)).hexdigest()[:32].upper()

    def _document(self, place: str) -> Obj:
        parts = place.split("/")
        core = parts[0] == "api"
        if len(parts) != (2 if core else 3) or parts[0] not in {"api", "apis"}:
            raise NotFound(f"there is no OpenAPI document {place!r}; /openapi/v3 lists them.")
        kinds = self._registry.of("" if core else parts[1], parts[-1])
        paths: Obj = {}
        schemas: Obj = {_META_NAME: _metadata_schema()}
        for kind in kinds:
            schemas[_schema_name(kind)] = _schema(kind, "#/components/schemas/")
            paths |= _paths(kind)
        return {"openapi": "3.0.0", "info": self._info, "paths": paths, "components": {"schemas": schemas}}


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _gvk(kind: Kind) -> Obj:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _schema_name(kind: Kind) -> str:
    # Kubernetes' own groups name their package by the first part; others by the reversed domain.
    if not kind.group or kind.group.endswith(".k8s.io"):
        return f"io.k8s.api.{kind.group.split('.')[0] or 'core'}.{kind.version}.{kind.kind}"
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _metadata_schema() -> Obj:
    properties: Mapping[str, Any] = METADATA["properties"]
    told = {
        name: {**schema, "description": _META_TEXTS[name]} if name in _META_TEXTS else schema
        for name, schema in properties.items()
    }
    told.pop("managedFields", None)
    return {"type": "object", "description": "What every object has.", "properties": told}


def _schema(kind: Kind, root: str) -> Obj:
    schema: Obj = (
        dict(kind.schema) if kind.schema is not None else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    )
    properties: Obj = {
        "apiVersion": {"type": "string", "description": f"Always {kind.api_version}."},
        "kind": {"type": "string", "description": f"Always {kind.kind}."},
        "metadata": {"allOf": [{"$ref": root + _META_NAME}], "description": "Standard object metadata."},
        **schema.get("properties", {}),
    }
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(kind)]}


def _paths(kind: Kind) -> Obj:
    reference = {"$ref": f"#/components/schemas/{_schema_name(kind)}"}
    content = {"application/json": {"schema": reference}}
    fixed: Obj = {"x-kubernetes-group-version-kind": _gvk(kind)}
    answer: Obj = {"responses": {"200": {"description": "OK", "content": content}}}
    write: Obj = {**answer, **fixed, "parameters": _PARAMETERS, "requestBody": {"content": content}}
    merge: Obj = {"application/merge-patch+json": {"schema": {"type": "object"}}}
    change: Obj = {**write, "requestBody": {"content": merge}}
    of_one = {
        "get": {**answer, **fixed, "x-kubernetes-action": "get"},
        "put": {**write, "x-kubernetes-action": "put"},
        "patch": {**change, "x-kubernetes-action": "patch"},
        "delete": {**answer, **fixed, "x-kubernetes-action": "delete"},
    }
    verbs = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
    collection = kind.path("{namespace}" if kind.namespaced else None)
    of_all = {"get": {**answer, **fixed, "x-kubernetes-action": "list"}, "post": {**write, "x-kubernetes-action": "post"}}
    if "list" not in kind.verbs:
        del of_all["get"]
    paths: Obj = {collection: of_all}
    if one := {method: operation for method, operation in of_one.items() if verbs[method] in kind.verbs}:
        paths[f"{collection}/{{name}}"] = one
    return paths
