"""Checks an object against its kind's OpenAPI schema: wrong types always, unknown fields when the client asked.

Types are checked before anything else reads the object, so that defaults and rules may rely on them. A field is unknown where its
object lists ``properties`` and is not open (``additionalProperties``, ``x-kubernetes-preserve-unknown-fields``).
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube import fitting
from kedge.kube.schemas import FITS, QUANTITY, TYPE

_OPEN = "x-kubernetes-preserve-unknown-fields"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
WRONG_TYPE = "FieldValueTypeInvalid"
"""The reason of a cause that is a value of a wrong type."""
_ZEROS: Mapping[str, type] = {kind: types[0] for kind, types in _TYPES.items()}
_WORDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


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
    wanted, kind = schema.get("type"), type(value)
    if kind is dict and (wanted == "object" or (wanted is None and FITS not in schema)):
        _check_object(schema, value, path, faults, unknown, passed=passed)
    elif kind is list and (wanted == "array" or (wanted is None and FITS not in schema)):
        if (items := schema.get("items")) is not None:
            for index, item in enumerate(value):
                check(items, item, f"{path}[{index}]", faults, unknown)
    elif not _is(schema, value, wanted):
        faults.append(_of_type(schema, value, path))


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
        faults.extend(_missing(schema, value, prefix, required))
    rest = None if isinstance(extra, bool) else extra  # asked of each object: whether it is a Mapping takes ten times as long
    if properties is None and rest is None:
        return
    for key, item in value.items():
        if key in passed:
            continue
        found = rest if properties is None else properties.get(key, rest)
        if found is not None:
            fits = found.get(FITS)
            if fits is not None:
                if not fitting.FITS[fits](item):
                    faults.append(_of_type(found, item, prefix + key))
            elif type(item) is not str or found.get("type") != "string":  # most fields are texts, and right
                check(found, item, prefix + key, faults, unknown)
        elif not extra and not schema.get(_OPEN) and not (not path and key in _ROOT):
            unknown.append(prefix + key)


def _missing(schema: Mapping[str, Any], value: dict[str, Any], prefix: str, required: Collection[str]) -> Iterator[Cause]:
    for key in required:
        if key not in value:
            yield Cause(prefix + key, "Required value" if TYPE in schema else "is required", "FieldValueRequired")


_ROOT = frozenset({"apiVersion", "kind", "metadata"})


def _of_type(schema: Mapping[str, Any], value: Any, path: str) -> Cause:
    wanted, fits, got = schema.get("type"), schema.get(FITS, ""), _WORDS.get(type(value), type(value).__name__)
    if wanted is None:
        told = f"must be a whole number or a string, got {got}"
    elif not _is_a(value, wanted):
        told = f"must be {_WORDS[_TYPES[wanted][0]]}, got {got}"
    else:
        told = f"must fit in {fits}, got {value!r}"
    return Cause(path or "(root)", fitting.why(fits, value) or told, WRONG_TYPE)


def _is(schema: Mapping[str, Any], value: Any, wanted: str | None) -> bool:
    fits = schema.get(FITS)
    return fitting.FITS[fits](value) if fits is not None else wanted is None or _is_a(value, wanted)


def _is_a(value: Any, wanted: str) -> bool:
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


def without_nulls(value: Any, schema: Mapping[str, Any] | None = None, *, zeros: bool = False) -> Any:
    """Drop keys whose value is null, as a server that decodes into typed fields does.

    Args:
        value: Any JSON.
        schema: As for `check`. What it leaves open (``x-kubernetes-preserve-unknown-fields``) is the user's own data and stays as
            it is: there a null is a value.
        zeros: Whether a null in a list, or of a key of a map, is the zero of what it holds, as Go reads it.
    """
    schema = schema or {}
    if schema.get(_OPEN):
        return value
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        rest = extra if isinstance(extra, Mapping) else None
        return {
            key: without_nulls(item, properties.get(key, rest), zeros=zeros) if item is not None else _zero(rest)
            for key, item in value.items()
            if item is not None or (zeros and rest is not None and key not in properties)
        }
    if isinstance(value, list):
        items = schema.get("items")
        return [
            _zero(items) if item is None and zeros and items is not None else without_nulls(item, items, zeros=zeros)
            for item in value
        ]
    return value


def _zero(schema: Mapping[str, Any] | None) -> Any:
    wanted: Any = (schema or {}).get("type")
    if wanted in _ZEROS:
        return _ZEROS[wanted]()
    return "0" if (schema or {}).get("format") == QUANTITY else 0
