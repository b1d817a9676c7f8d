"""Checks an object against its kind's OpenAPI schema: wrong types always, unknown fields when the client asked.

Types are checked before anything else reads the object, so that defaults and rules may rely on them. A field is unknown where its
object lists ``properties`` and is not open (``additionalProperties``, ``x-kubernetes-preserve-unknown-fields``).
"""

from collections.abc import Collection, Mapping
from typing import Any

from kedge.errors import Cause

_OPEN = "x-kubernetes-preserve-unknown-fields"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_WORDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
METADATA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "selfLink": {"type": "string"},
        "uid": {"type": "string"},
        "resourceVersion": {"type": "string"},
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": "string"},
        "deletionTimestamp": {"type": "string"},
        "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
        "ownerReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "name": {"type": "string"},
                    "uid": {"type": "string"},
                    "controller": {"type": "boolean"},
                    "blockOwnerDeletion": {"type": "boolean"},
                },
            },
        },
        "finalizers": {"type": "array", "items": {"type": "string"}},
        "managedFields": {"type": "array"},
    },
}


def check(
    schema: Mapping[str, Any] | None,
    value: Any,
    path: str,
    faults: list[Cause],
    unknown: list[str],
    *,
    passed: Collection[str] = (),
) -> None:
    """Walk an object.

    Args:
        schema: OpenAPI v3; ``None`` allows anything.
        value: The object, without nulls.
        path: Where it stands, ``""`` for the root.
        faults: Gets a cause for each value of a wrong type and each required field that is missing.
        unknown: Gets the path of each unknown field.
        passed: Keys of ``value`` that need not be looked into again.
    """
    if schema is None:
        return
    wanted = schema.get("type")
    if wanted is not None and not _is(value, wanted):
        got = _WORDS.get(type(value), type(value).__name__)
        faults.append(Cause(path or "(root)", f"must be {_WORDS[_TYPES[wanted][0]]}, got {got}", "FieldValueTypeInvalid"))
        return
    if isinstance(value, dict):
        _check_object(schema, value, path, faults, unknown, passed=passed)
    elif isinstance(value, list) and (items := schema.get("items")) is not None:
        for index, item in enumerate(value):
            check(items, item, f"{path}[{index}]", faults, unknown)


def _check_object(
    schema: Mapping[str, Any],
    value: dict[str, Any],
    path: str,
    faults: list[Cause],
    unknown: list[str],
    *,
    passed: Collection[str],
) -> None:
    properties = schema.get("properties")
    extra = schema.get("additionalProperties")
    prefix = f"{path}." if path else ""
    if required := schema.get("required"):
        missing = (key for key in required if key not in value)
        faults.extend(Cause(prefix + key, "is required", "FieldValueRequired") for key in missing)
    if properties is None and not isinstance(extra, Mapping):
        return
    for key, item in value.items():
        if key in passed:
            continue
        found = properties.get(key) if properties is not None else None
        if found is None and isinstance(extra, Mapping):
            found = extra
        if found is not None:
            if type(item) is not str or found.get("type") != "string":  # most fields are texts, and right
                check(found, item, prefix + key, faults, unknown)
        elif not extra and not schema.get(_OPEN) and not (not path and key in _ROOT):
            unknown.append(prefix + key)


_ROOT = frozenset({"apiVersion", "kind", "metadata"})


def _is(value: Any, wanted: str) -> bool:
    kinds = _TYPES.get(wanted, (object,))
    # In Python a bool is an int; in JSON it is not.
    return isinstance(value, kinds) and (wanted == "boolean" or not isinstance(value, bool))


def prune(schema: Mapping[str, Any] | None, value: Any, *, root: bool = False) -> None:
    """Take out, in place, what `check` has called unknown: it is not stored, as on a real API server.

    Args:
        schema: As for `check`, which has found no wrong type.
        value: What it has checked.
        root: Whether this is the object itself, with ``metadata`` and the like.
    """
    if schema is None:
        return
    if isinstance(value, list):
        for item in value:
            prune(schema.get("items"), item)
    if not isinstance(value, dict):
        return
    properties: Mapping[str, Any] = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    is_open = bool(extra or schema.get(_OPEN) or schema.get("properties") is None)
    for key in list(value):
        if key in properties:
            prune(properties[key], value[key])
        elif isinstance(extra, Mapping):
            prune(extra, value[key])
        elif not is_open and not (root and key in _ROOT):
            del value[key]


def without_nulls(value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """Drop keys whose value is null, as a server that decodes into typed fields does.

    Args:
        value: Any JSON.
        schema: As for `check`. What it leaves open (``x-kubernetes-preserve-unknown-fields``) is the user's own data and stays as
            it is: there a null is a value.
    """
    schema = schema or {}
    if schema.get(_OPEN):
        return value
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        rest = extra if isinstance(extra, Mapping) else None
        return {key: without_nulls(item, properties.get(key, rest)) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item, schema.get("items")) for item in value]
    return value
