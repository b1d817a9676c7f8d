"""OpenAPI documents of the kinds: what ``kubectl explain``, ``apply``, ``edit`` and ``replace`` read before they send anything.

`kubectl` asks for two things: that a kind's PATCH has a ``fieldValidation`` parameter (validation is then the server's), and the
schema for ``explain``. Strategic-merge details are not told: for built-in kinds clients have them compiled in.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from kedge.errors import NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.kube.merging import merge_keys
from kedge.server import openapi_protobuf
from kedge.server.discovery import SUBRESOURCES
from kedge.server.openapi_schemas import Schemas
from kedge.server.registry import Registry

_ROOT = "#/components/schemas/"


def _parameters(type_: str, *names: str, where: str = "query") -> list[Obj]:
    fixed: Obj = {"required": True} if where == "path" else {}
    return [{"name": name, "in": where, **fixed, "schema": {"type": type_, "uniqueItems": True}} for name in names]


_WRITE = _parameters("string", "dryRun", "fieldManager", "fieldValidation", "pretty")
_DELETE = [
    *_parameters("string", "dryRun", "pretty", "propagationPolicy"),
    *_parameters("integer", "gracePeriodSeconds"),
    *_parameters("boolean", "orphanDependents"),
]
_LIST = [
    *_parameters("string", "continue", "fieldSelector", "labelSelector", "pretty", "resourceVersion", "resourceVersionMatch"),
    *_parameters("integer", "limit", "timeoutSeconds"),
    *_parameters("boolean", "allowWatchBookmarks", "sendInitialEvents", "watch"),
]
_STREAMS = [*_parameters("boolean", "stderr", "stdin", "stdout", "tty"), *_parameters("string", "container")]
_QUERIES: Mapping[str, list[Obj]] = {
    "attach": _STREAMS,
    "exec": [*_STREAMS, *_parameters("string", "command")],
    "log": [
        *_parameters("boolean", "follow", "previous", "timestamps"),
        *_parameters("integer", "limitBytes", "sinceSeconds", "tailLines"),
        *_parameters("string", "container", "pretty", "sinceTime"),
    ],
    "portforward": _parameters("integer", "ports"),
}
_OPEN = {"200": {"description": "OK"}}
_PATCH = {
    form: {"schema": {"type": "array" if form == "application/json-patch+json" else "object"}}
    for form in (
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    )
}
_PROXIES = frozenset({("", "pods"), ("", "services")})
_CONNECTED = frozenset({"attach", "exec", "portforward", "proxy"})
_METHODS = {"get": "get", "update": "put", "patch": "patch", "create": "post"}
_PROXIED = ("get", "put", "post", "patch", "delete", "head", "options")


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
        self._state = registry.state

    def index(self) -> Obj:
        """The body of ``/openapi/v3``: where each group's document is, by its content."""
        places = [_place(name, version) for name, versions in self._registry.groups.items() for version in versions]
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}?hash={self._digest(place)}"} for place in places}}

    def group(self, place: str) -> bytes:
        """The document of ``api/v1`` or ``apis/GROUP/VERSION``, JSON.

        Raises:
            NotFound: No such group is served.
        """
        if self._state != self._registry.state:
            self._made, self._state = {}, self._registry.state
        if place not in self._made:
            self._made[place] = msgspec.json.encode(self._document(place))
        return self._made[place]

    def whole(self) -> Obj:
        """The body of ``/openapi/v2``: all schemas, for clients that know no v3."""
        schemas = Schemas("#/definitions/")
        for kind in self._registry:
            schemas.add(kind)
        return {"swagger": "2.0", "info": self._info, "paths": {}, "definitions": schemas.named}

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
        schemas = Schemas(_ROOT)
        for kind in kinds:
            paths |= _paths(kind, schemas.add(kind))
        return {"openapi": "3.0.0", "info": self._info, "paths": paths, "components": {"schemas": schemas.named}}


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _gvk(kind: Kind) -> Obj:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _paths(kind: Kind, schema: str) -> Obj:
    reference = {"$ref": _ROOT + schema}
    content = {"application/json": {"schema": reference}}
    fixed: Obj = {"x-kubernetes-group-version-kind": _gvk(kind)}
    answer: Obj = {"responses": {"200": {"description": "OK", "content": content}}}
    write: Obj = {**answer, **fixed, "parameters": _WRITE, "requestBody": {"content": content}}
    change: Obj = {**write, "requestBody": {"content": _patches(kind)}}
    of_one = {
        "get": {**answer, **fixed, "x-kubernetes-action": "get"},
        "put": {**write, "x-kubernetes-action": "put"},
        "patch": {**change, "x-kubernetes-action": "patch"},
        "delete": {**answer, **fixed, "parameters": _DELETE, "x-kubernetes-action": "delete"},
    }
    verbs = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
    collection = kind.path("{namespace}" if kind.namespaced else None)
    place = _parameters("string", *(["namespace"] if kind.namespaced else []), where="path")
    of_all = {
        "get": {**answer, **fixed, "parameters": _LIST, "x-kubernetes-action": "list"},
        "post": {**write, "x-kubernetes-action": "post"},
    }
    if "list" not in kind.verbs:
        del of_all["get"]
    paths: Obj = {collection: {"parameters": place, **of_all}}
    place = [*place, *_parameters("string", "name", where="path")]
    if one := {method: operation for method, operation in of_one.items() if verbs[method] in kind.verbs}:
        paths[f"{collection}/{{name}}"] = {"parameters": place, **one}
    for name in kind.subresources:
        paths[f"{collection}/{{name}}/{name}"] = {"parameters": place, **_subresource(kind, name, content)}
    if (kind.group, kind.plural) in _PROXIES:
        # Not the kind's own: `kubectl` takes a patch of its kind for the one that says whether the server validates fields.
        options = {"x-kubernetes-group-version-kind": {"group": "", "version": "v1", "kind": f"{kind.kind}ProxyOptions"}}
        proxied = {method: {"responses": _OPEN, "x-kubernetes-action": "connect", **options} for method in _PROXIED}
        paths[f"{collection}/{{name}}/proxy"] = {"parameters": place, **proxied}
        paths[f"{collection}/{{name}}/proxy/{{path}}"] = {
            "parameters": [*place, *_parameters("string", "path", where="path")],
            **proxied,
        }
    return paths


def _patches(kind: Kind) -> Obj:
    """The forms of patches that a kind takes: `kubectl apply` sends the strategic one wherever it is told of."""
    takes = merge_keys(kind) is not None
    return {form: content for form, content in _PATCH.items() if takes or "strategic" not in form}


def _subresource(kind: Kind, name: str, content: Obj) -> Obj:
    """What may be done with a subresource; what travels there and is not of the kind itself is described as any object."""
    verbs, travels = SUBRESOURCES.get(name, (("get",), None))
    body: Obj = {"application/json": {"schema": {"type": "object"}}} if travels else content
    gvk = dict(zip(("group", "version", "kind"), travels, strict=True)) if travels else _gvk(kind)
    found: Obj = {}
    for verb in verbs:
        method = _METHODS[verb]
        operation: Obj = {"x-kubernetes-group-version-kind": gvk}
        if name in _CONNECTED or name == "log":
            operation |= {"responses": _OPEN, "parameters": _QUERIES[name]}
        else:
            operation["responses"] = {"200": {"description": "OK", "content": body}}
            if verb != "get":
                operation |= {"parameters": _WRITE, "requestBody": {"content": _patches(kind) if verb == "patch" else body}}
        found[method] = {**operation, "x-kubernetes-action": "connect" if name in _CONNECTED else method}
    return found
