"""The rules of a structural schema, with kube-apiserver's words and paths: what a definition's schema may hold, and where.

A schema says of every field what it is exactly once: outside ``allOf``, ``anyOf``, ``oneOf`` and ``not``, which only narrow.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kedge.errors import Cause
from kedge.kube.faults import forbidden, invalid, of_type, required, unsupported
from kedge.kube.schemas import CoreSchema
from kedge.kube.structural import budgets, rules, shaping, values
from kedge.kube.structural.regexes import PatternError, compiled
from kedge.kube.structural.values import EMBEDDED, INT_OR_STRING, Schema

LIST_TYPE, LIST_KEYS, MAP_TYPE, RULES = (
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_SCALARS = ("boolean", "integer", "number", "string")
_JUNCTIONS = ("allOf", "anyOf", "oneOf")
_EMPTY_INSIDE = ("type", "description", "title", "additionalProperties", LIST_TYPE, LIST_KEYS, MAP_TYPE, RULES)
_FALSE_INSIDE = ("nullable", shaping.OPEN, EMBEDDED, INT_OR_STRING)
_NEVER = ("$ref", "definitions", "patternProperties", "dependencies", "id", "additionalItems")
# The ways in which both types of an int-or-string may be said again.
_BOTH = [{"type": "integer"}, {"type": "string"}]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a schema a part stands."""

    path: str
    kind: str  # "", "properties", "items", "additionalProperties": below what
    unknown: str = ""  # the list above whose items nobody knows again
    counted: rules.Counted = field(default_factory=rules.Counted)

    def below(self, schema: Schema, kind: str, key: str = "", *, keyed: bool = True) -> "_Place":
        inner = f"{self.path}.{kind}" + (f"[{key}]" if key else "")
        counted = replace(self.counted, times=budgets.below(schema, self.counted.times))
        return _Place(inner, kind, self.unknown or ("" if keyed else self.path), counted)


def schemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a schema holds in the place of schemas, and where below it that stands; it may be anything."""
    for name in ("properties", "patternProperties", "definitions"):
        inner = schema.get(name)
        if isinstance(inner, Mapping):
            yield from ((f".{name}.{key}", each) for key, each in inner.items())
    for name in ("items", "additionalProperties", "not"):
        if name in schema and not (isinstance(schema[name], bool) and name == "additionalProperties"):
            yield from [(f".{name}", schema[name])]
    for name in _JUNCTIONS:
        inner = schema.get(name)
        if isinstance(inner, list):
            yield from ((f".{name}[{index}]", each) for index, each in enumerate(inner))


_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _types(schema: Any, path: str) -> Iterator[Cause]:
    """Keywords whose value has not the type that a schema's have."""
    if not isinstance(schema, Mapping):
        if not path.endswith(".items") or not isinstance(schema, list):  # a list of schemas is refused in other words
            yield of_type(path, values.type_name(schema), "must be an object")
        return
    known: Mapping[str, Any] = CoreSchema("JSONSchemaProps")["properties"]
    for name, value in schema.items():
        wanted = known.get(name, {}).get("type")
        if (
            wanted
            and value is not None
            and (not isinstance(value, _KINDS[wanted]) or isinstance(value, bool) != (wanted == "boolean"))
        ):
            yield of_type(f"{path}.{name}", values.type_name(value), f"must be of type {wanted}")
    for key in ("required", LIST_KEYS):
        if any(not isinstance(each, str) for each in _listed(schema.get(key))):
            yield of_type(f"{path}.{key}", "array", "must be a list of texts")
    if any(not isinstance(each, Mapping) or not isinstance(each.get("rule", ""), str) for each in _listed(schema.get(RULES))):
        yield of_type(f"{path}.{RULES}", "array", "must be a list of rules")
    for place, inner in schemas(schema):
        yield from _types(inner, path + place)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def faults(schema: Schema, path: str, *, kept: bool = False) -> list[Cause]:
    """What is wrong with the schema of one version.

    Args:
        schema: The value of ``openAPIV3Schema``.
        path: Where it stands.
        kept: Whether it is as it was.
    """
    if found := list(_types(schema, path)):
        return found
    if schema.get("type") and schema["type"] != "object":
        found.append(invalid(f"{path}.type", schema["type"], "must be object at the root"))
    elif not schema.get("type"):
        found.append(required(f"{path}.type", "must not be empty at the root"))
    if "additionalProperties" in schema:
        found.append(forbidden(f"{path}.additionalProperties", "must not be used at the root"))
    found += _metadata(schema, path)
    tally = budgets.Tally(kept)
    found += _part(schema, _Place(path, "", counted=rules.Counted(tally)))
    found += tally.all(path)
    return list(dict.fromkeys(found))


def _metadata(schema: Schema, path: str) -> Iterator[Cause]:
    meta = (schema.get("properties") or {}).get("metadata")
    if not isinstance(meta, Mapping):
        return
    place = f"{path}.properties[metadata]"
    if "default" in meta:
        yield forbidden(f"{place}.default", "must not be set in top-level metadata")
    if set(meta) - {"type", "properties", "description", "default"} or set(meta.get("properties") or ()) - {
        "name",
        "generateName",
    }:
        yield forbidden(place, "must not specify anything other than name and generateName, but metadata is implicitly specified")


def _part(schema: Schema, place: _Place) -> Iterator[Cause]:
    path, kind = place.path, schema.get("type")
    yield from _keywords(schema, path)
    if not kind and place.kind and "$ref" not in schema and not schema.get(INT_OR_STRING) and not schema.get(shaping.OPEN):
        what = "array items" if place.kind == "items" else "object fields"
        yield required(f"{path}.type", f"must not be empty for specified {what}")
    yield from rules.faults(schema, path, place.unknown, place.counted, root=not place.kind)
    yield from _extensions(schema, path)
    yield from _lists(schema, path)
    yield from _pattern(schema, path)
    if "properties" in schema and "additionalProperties" in schema and schema["additionalProperties"] is not False:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    yield from _default(schema, path)
    yield from _inside_junctions(schema, place)
    for inner, below in _below(schema, place):
        yield from _part(inner, below)


def _keywords(schema: Schema, path: str) -> Iterator[Cause]:
    """What no structural schema may say."""
    for name in _NEVER:
        if name in schema:
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        yield forbidden(f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
    if schema.get("type") and schema["type"] not in _TYPES:
        yield unsupported(f"{path}.type", schema["type"], _TYPES)


def _below(schema: Schema, place: _Place) -> Iterator[tuple[Schema, _Place]]:
    """The parts of a part."""
    for key, inner in (schema.get("properties") or {}).items():
        yield inner, place.below(schema, "properties", key)
    for kind in ("additionalProperties", "items"):
        if isinstance(inner := schema.get(kind), Mapping):
            yield inner, place.below(schema, kind, keyed=kind != "items" or schema.get(LIST_TYPE) == "map")


def _pattern(schema: Schema, path: str) -> Iterator[Cause]:
    if pattern := schema.get("pattern"):
        try:
            compiled(pattern)
        except PatternError as error:
            yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")


def _extensions(schema: Schema, path: str) -> Iterator[Cause]:
    if schema.get(shaping.OPEN) is False:
        yield invalid(f"{path}.{shaping.OPEN}", value=False, why="must be true or undefined")
    kind, how = schema.get("type"), schema.get(MAP_TYPE)
    if how is not None:
        if kind != "object":
            yield invalid(f"{path}.type", kind, f"must be object if {MAP_TYPE} is specified")
        if how not in {"atomic", "granular"}:
            yield unsupported(f"{path}.{MAP_TYPE}", how, ("atomic", "granular"))
    if schema.get(EMBEDDED):
        if not schema.get("properties") and not schema.get(shaping.OPEN):
            why = f"must not be empty if {EMBEDDED} is true without {shaping.OPEN}"
            yield required(f"{path}.properties", why)
        if kind != "object":
            yield invalid(f"{path}.type", kind, f"must be object if {EMBEDDED} is true")


def _lists(schema: Schema, path: str) -> Iterator[Cause]:
    kind, items, how, keys = schema.get("type"), schema.get("items"), schema.get(LIST_TYPE), schema.get(LIST_KEYS)
    if isinstance(items, list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
        return
    if kind == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if how is not None and kind != "array":
        yield invalid(f"{path}.type", kind, f"must be array if {LIST_TYPE} is specified")
        return
    if how is not None and how not in {"atomic", "set", "map"}:
        yield unsupported(f"{path}.{LIST_TYPE}", how, ("atomic", "set", "map"))
    if keys and how != "map":
        yield (
            required(f"{path}.{LIST_TYPE}", f"must be map if {LIST_KEYS} is non-empty")
            if how is None
            else invalid(f"{path}.{LIST_TYPE}", how, f"must be map if {LIST_KEYS} is non-empty")
        )
    if how == "map":
        yield from _list_map(items or {}, keys or [], path)
    if how == "set" and isinstance(items, Mapping):
        yield from _set(items, path)


def _list_map(items: Schema, keys: list[str], path: str) -> Iterator[Cause]:
    if not keys:
        yield required(f"{path}.{LIST_KEYS}", f"must not be empty if {LIST_TYPE} is map")
    if items.get("type") != "object":
        yield invalid(f"{path}.items.type", items.get("type"), f"must be object if parent array's {LIST_TYPE} is map")
        return
    properties: Schema = items.get("properties") or {}
    if any(key not in properties for key in keys):
        yield invalid(f"{path}.{LIST_KEYS}", keys, "entries must all be names of item properties")
    if len(set(keys)) < len(keys):
        yield invalid(f"{path}.{LIST_KEYS}", keys, "must not contain duplicate entries")
    for key in dict.fromkeys(each for each in keys if each in properties):
        place, inner = f"{path}.items.properties[{key}]", properties[key]
        if inner.get("type") and inner["type"] not in _SCALARS:
            yield invalid(f"{place}.type", inner["type"], f"must be a scalar type if parent array's {LIST_TYPE} is map")
        if key not in (items.get("required") or ()) and inner.get("default") is None:
            yield required(
                f"{place}.default", f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
            )
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is map")


def _set(items: Schema, path: str) -> Iterator[Cause]:
    kind = items.get("type")
    if kind == "object" and items.get(MAP_TYPE) != "atomic":
        yield invalid(f"{path}.items.{MAP_TYPE}", items.get(MAP_TYPE), f"must be atomic as item of a list with {LIST_TYPE}=set")
    if kind == "array" and items.get(LIST_TYPE) not in {None, "atomic"}:
        yield invalid(f"{path}.items.{LIST_TYPE}", items.get(LIST_TYPE), f"must be atomic as item of a list with {LIST_TYPE}=set")
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {LIST_TYPE} is set")


def _default(schema: Schema, path: str) -> Iterator[Cause]:
    default = schema.get("default")
    if default is None:
        return
    place, pruned = f"{path}.default", copy.deepcopy(default)
    root = not path.endswith("]") and not path.endswith("items")  # the object itself
    if shaping.prune(schema, pruned, root=root):
        yield invalid(place, default, "must not have unknown fields")
        return
    shaping.complete(schema, pruned)
    if root and isinstance(pruned, dict):
        yield from (required(f"{place}.{name}") for name in ("apiVersion", "kind") if name not in pruned)
    for each in values.faults(schema, pruned, ""):
        yield Cause(f"{place}.{each.field}" if each.field not in {"", "<nil>"} else place, each.message, each.reason)


def _inside_junctions(schema: Schema, place: _Place) -> Iterator[Cause]:
    for name in _JUNCTIONS:
        inner = schema.get(name) or []
        if schema.get(INT_OR_STRING):
            if name == "anyOf" and inner == _BOTH:
                continue
            if name == "allOf" and inner and inner[0].get("anyOf") == _BOTH:
                inner = [{**inner[0], "anyOf": []}, *inner[1:]]
        for index, each in enumerate(inner):
            yield from _inside(each, f"{place.path}.{name}[{index}]")
    if isinstance(schema.get("not"), Mapping):
        yield from _inside(schema["not"], f"{place.path}.not")


def _only_narrows(schema: Schema, path: str) -> Iterator[Cause]:
    for name in _EMPTY_INSIDE:
        if schema.get(name) not in (None, ""):
            yield forbidden(f"{path}.{name}", "must be empty to be structural")
    if "default" in schema:
        yield forbidden(f"{path}.default", "must be undefined to be structural")
    for name in _FALSE_INSIDE:
        if schema.get(name):
            yield forbidden(f"{path}.{name}", "must be false to be structural")


def _inside(schema: Schema, path: str) -> Iterator[Cause]:
    yield from _pattern(schema, path)
    yield from _only_narrows(schema, path)
    for key, inner in (schema.get("properties") or {}).items():
        yield from _inside(inner, f"{path}.properties[{key}]")
    for name in ("items", "not"):
        if isinstance(schema.get(name), Mapping):
            yield from _inside(schema[name], f"{path}.{name}")
    for name in _JUNCTIONS:
        for index, each in enumerate(schema.get(name) or []):
            yield from _inside(each, f"{path}.{name}[{index}]")
