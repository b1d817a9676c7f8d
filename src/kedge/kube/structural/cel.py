"""Values of a schema as expressions see them."""

import base64
from collections.abc import Mapping
from typing import Any

from kedge.kube.cel.library import timestamp
from kedge.kube.cel.types import escaped
from kedge.kube.cel.values import Duration, EvaluationError, Keyed, Set, Struct
from kedge.kube.structural.formats import duration

_META = ("name", "generateName")


def value(schema: Mapping[str, Any], given: Any, *, root: bool = False) -> Any:
    """A value as expressions see it.

    Args:
        schema: Structural.
        given: JSON that the schema allows.
        root: Whether it is the object itself.
    """
    if given is None:
        return None
    kind = schema.get("type")
    if isinstance(given, list):
        items: Any = schema.get("items") or {}
        found = [value(items, each) for each in given]
        how = schema.get("x-kubernetes-list-type")
        keys = tuple(str(escaped(each)) for each in schema.get("x-kubernetes-list-map-keys") or ())
        return Set(found) if how == "set" else Keyed(found, keys) if how == "map" else found
    if isinstance(given, dict):
        extra = schema.get("additionalProperties")
        if isinstance(extra, Mapping):
            return {key: value(extra, each) for key, each in given.items()}
        return _struct(schema, given, root=root or bool(schema.get("x-kubernetes-embedded-resource")))
    if kind == "number" and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    return _text(str(schema.get("format")), given) if isinstance(given, str) else given


def _struct(schema: Mapping[str, Any], given: dict[str, Any], *, root: bool) -> Struct:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    found = Struct()
    for key, each in given.items():
        if root and key == "metadata" and isinstance(each, dict):
            found[key] = Struct({name: each[name] for name in _META if name in each})
        elif root and key in {"apiVersion", "kind"}:
            found[key] = each
        elif key in properties and (name := escaped(key)) is not None:
            found[name] = value(properties[key], each)
    return found


def _text(form: str, given: str) -> Any:
    try:
        if form == "date-time":
            return timestamp(given.upper())
        if form == "date":
            return timestamp(f"{given}T00:00:00Z")
        if form == "duration":
            return Duration(duration(given))
        if form == "byte":
            return base64.b64decode(given)
    except (ValueError, EvaluationError):
        return given
    return given
