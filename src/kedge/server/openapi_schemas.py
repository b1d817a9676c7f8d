"""The schemas of an OpenAPI document: each type stands in it once, by its name, with what it and its fields are for people.

Schemas of built-in kinds are made of shared parts that say which type they are (`kedge.kube.schemas.TYPE`); here each becomes a
reference. What users define is shown as they wrote it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from kedge.kube import field_texts, schemas
from kedge.kube.kinds import Kind, Obj

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_META_TYPES = frozenset(
    {
        "Condition",
        "DeleteOptions",
        "FieldSelectorRequirement",
        "LabelSelector",
        "LabelSelectorRequirement",
        "ManagedFieldsEntry",
        "ObjectMeta",
        "OwnerReference",
        "Preconditions",
    }
)
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
# Scalars that have a name: what they may be, and what else stands beside it.
_NAMED: Mapping[str, tuple[tuple[str, ...], Obj]] = {
    _QUANTITY: (("string", "number"), {}),
    _INT_OR_STRING: (("integer", "string"), {"format": "int-or-string"}),
}
_INTERNAL = frozenset({schemas.TYPE, schemas.ZERO, schemas.OMITTED, schemas.FITS})
# Types that several groups have are the first one's: the groups on which others build come first.
_FIRST = {"v1": 0, "apps/v1": 1, "batch/v1": 2}


def name_of(kind: Kind) -> str:
    """The name of a kind's schema.

    Args:
        kind: The kind.
    """
    # Kubernetes' own groups name their package by the first part; others by the reversed domain.
    if not kind.group or "." not in kind.group or kind.group.endswith(".k8s.io"):
        return _package(kind.group, kind.version) + kind.kind
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _package(group: str, version: str) -> str:
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}."


class Schemas:
    """The schemas of one document.

    Args:
        root: Where they stand in it, such as ``#/definitions/``.

    Attributes:
        named: What was asked for, and what that refers to, by name.
    """

    def __init__(self, root: str) -> None:
        self.named: Obj = {}
        self._root = root
        # Of the old document, what refers to something may say more of it beside; of the new one, only around it.
        self._around = root != "#/definitions/"

    def add(self, kind: Kind) -> str:
        """Take a kind in.

        Returns:
            Its name.
        """
        name = name_of(kind)
        own: Mapping[str, Any] = kind.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        told = dict(own) if kind.structural else self._object(own, own.get(schemas.TYPE) or kind.kind)
        properties: Obj = {
            "apiVersion": {"type": "string", "description": f"Always {kind.api_version}."},
            "kind": {"type": "string", "description": f"Always {kind.kind}."},
            "metadata": self._reference(self._define("ObjectMeta"), {"description": field_texts.of_field("*", "metadata")}),
            **told.get("properties", {}),
        }
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        self.named[name] = {**told, "properties": properties, "x-kubernetes-group-version-kind": [gvk]}
        return name

    def _object(self, schema: Mapping[str, Any], type_: str, path: str = "") -> Obj:
        """An object as it stands, its fields with their texts."""
        made: Obj = {key: value for key, value in schema.items() if key not in _INTERNAL}
        if not path and (text := field_texts.of_type(type_)):
            made["description"] = text
        if properties := schema.get("properties"):
            made["properties"] = {
                key: self._field(each, type_, f"{path}.{key}" if path else key) for key, each in properties.items()
            }
        return made

    def _field(self, schema: Mapping[str, Any], type_: str, path: str) -> Obj:
        text = field_texts.of_field(type_, path)
        return self._shown(schema, type_, path, {"description": text} if text else {})

    def _shown(self, schema: Mapping[str, Any], type_: str, path: str, more: Obj) -> Obj:
        if named := schema.get(schemas.TYPE):
            marks = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
            return self._reference(self._define(named), {**more, **marks})
        if schema.get("x-kubernetes-int-or-string"):
            return self._reference(self._scalar(_QUANTITY if schema.get("format") == schemas.QUANTITY else _INT_OR_STRING), more)
        made = {**more, **self._object(schema, type_, path)}
        for key in ("items", "additionalProperties"):
            if isinstance(inner := schema.get(key), Mapping):
                made[key] = self._shown(inner, type_, path, {})
        return made

    def _reference(self, name: str, more: Obj) -> Obj:
        reference = {"$ref": self._root + name}
        if not more:
            return reference
        return {**more, "allOf": [reference]} if self._around else {**more, **reference}

    def _define(self, type_: str) -> str:
        name = _names()[type_]
        if name not in self.named:
            self.named[name] = {}  # it may hold itself
            self.named[name] = self._object(schemas.of_type(type_), type_)
        return name

    def _scalar(self, name: str) -> str:
        forms, more = _NAMED[name]
        text = {"description": field_texts.of_type(name.rpartition(".")[2])}
        # The old document has no word for what may be either.
        either: Obj = {"oneOf": [{"type": form} for form in forms]} if self._around else {"type": "string"}
        self.named[name] = {**text, **either, **more}
        return name


@cache
def _names() -> Mapping[str, str]:
    """How each type of the table is called in documents: by the group that has it."""
    kinds = sorted(schemas.kinds().items(), key=lambda each: (_FIRST.get(each[0][0], len(_FIRST)), each[0]))
    found = {name: f"{_META}.{name}" for name in _META_TYPES}
    for (api_version, _), root in kinds:
        group, _, version = api_version.rpartition("/")
        for name in _reached(root):
            found.setdefault(name, _package(group, version) + name.rpartition(".")[2])
    return found


def _reached(root: str) -> Iterator[str]:
    seen, waiting = {root}, [root]
    while waiting:
        name = waiting.pop()
        yield name
        inner = {word.type.replace("[]", "").replace("{}", "") for word in schemas.words(name)}
        new = {each for each in inner if schemas.is_type(each)} - seen
        seen |= new
        waiting += sorted(new)
