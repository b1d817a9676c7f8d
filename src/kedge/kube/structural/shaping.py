"""Brings a value into its schema's shape: unknown fields out, defaults in, nulls where they belong."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.kube.schemas import METADATA
from kedge.kube.structural.values import EMBEDDED, Schema

OPEN = "x-kubernetes-preserve-unknown-fields"
_TYPE_META = frozenset({"apiVersion", "kind", "metadata"})


def prune(schema: Schema, value: Any, path: str = "", *, root: bool = False) -> list[str]:
    """Take out, in place, what a schema does not know; returns the paths of it.

    Args:
        schema: Structural.
        value: Any.
        path: Where it stands.
        root: Whether it is the object itself, whose ``metadata`` is somebody else's.
    """
    return list(_prune(schema, value, path, root=root))


def _prune(schema: Schema, value: Any, path: str, *, root: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key in list(value):
            yield from _prune_field(schema, value, key, f"{path}.{key}" if path else key, root=root)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from _prune(items, item, f"{path}[{index}]")


def _prune_field(schema: Schema, value: dict[str, Any], key: str, place: str, *, root: bool) -> Iterator[str]:
    properties: Schema = schema.get("properties") or {}
    extra, embedded = schema.get("additionalProperties"), bool(schema.get(EMBEDDED))
    if (root or embedded) and key in _TYPE_META:
        if embedded and key == "metadata" and isinstance(value[key], dict):
            for field in [each for each in value[key] if each not in METADATA["properties"]]:
                del value[key][field]
                yield f"{place}.{field}"
    elif key in properties:
        yield from _prune(properties[key], value[key], place)
    elif isinstance(extra, Mapping):
        yield from _prune(extra, value[key], place)
    elif not schema.get(OPEN) and extra is not True:
        del value[key]
        yield place


def complete(schema: Schema, value: Any) -> None:
    """Fill in defaults, in place; a null that may not be one is as if it were not there.

    Args:
        schema: Structural.
        value: Any.
    """
    if isinstance(value, dict):
        _complete_object(schema, value)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for index, item in enumerate(value):
            if item is None and not items.get("nullable") and items.get("default") is not None:
                value[index] = copy.deepcopy(items["default"])
            complete(items, value[index])


def _complete_object(schema: Schema, value: dict[str, Any]) -> None:
    properties: Schema = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for key in [key for key, each in value.items() if each is None]:
        inner = properties.get(key, extra)
        if isinstance(inner, Mapping) and not inner.get("nullable"):
            del value[key]
    for key, inner in properties.items():
        if key not in value and inner.get("default") is not None:
            value[key] = copy.deepcopy(inner["default"])
    for key, each in value.items():
        inner = properties.get(key, extra)
        if isinstance(inner, Mapping):
            complete(inner, each)
