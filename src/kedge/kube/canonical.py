"""Objects as Kubernetes keeps them, whichever way they were written: ``cpu: 0.5`` is ``500m``, and ``labels: {}`` is not there.

A cluster reads an object into typed fields and writes it anew, so what comes back is in this form. Were it not, a client that
does the same would change a template by reading it, and ``kubectl diff`` would find a difference for ever.
"""

import re
from collections.abc import Mapping
from typing import Any

from kedge.kube import quantities
from kedge.kube.schemas import METADATA, OMITTED, QUANTITY

Schema = Mapping[str, Any]
_WRITTEN = frozenset({QUANTITY, "byte"})
_SAYS_NOTHING = re.compile(rb':(?:""|0[,}]|0\.0|false|\[\]|\{\})')
# By the address of a schema: itself, so that the address stays its own, and its fields below which a quantity may stand.
_fields: dict[int, tuple[Schema, Mapping[str, Schema]]] = {}


def canonical(schema: Schema | None, value: Any) -> Any:
    """Bring the quantities and the base64 of an object into their usual form, in place.

    Args:
        schema: Of a built-in kind, or of a part of one.
        value: What was checked with it. A quantity that cannot be read stays as it is, for the rules to refuse.

    Returns:
        The same object; what takes the place of a value that is itself a quantity.
    """
    if schema is None:
        return value
    if schema.get("format") in _WRITTEN:
        return _written(value) if schema["format"] == QUANTITY else _in_one_line(value)
    if isinstance(value, list):
        items: Schema = schema.get("items") or {}
        if value and _holds(items):
            value[:] = [canonical(items, item) for item in value]
    elif isinstance(value, dict):
        _object(schema, value)
    return value


def without_nothings(schema: Schema | None, obj: dict[str, Any], text: bytes) -> None:
    """Take out, in place, the fields that say nothing where Kubernetes writes them no more: ``""``, ``0``, false, no items.

    Args:
        schema: Of a built-in kind.
        obj: What was checked with it.
        text: The same as JSON without spaces: most objects have nothing of the kind, and are not gone through.
    """
    if _SAYS_NOTHING.search(text):
        _take_out(schema, obj)
        _take_out(METADATA, obj["metadata"])


def _take_out(schema: Schema | None, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _take_out((schema or {}).get("items"), item)
    elif isinstance(value, dict) and schema is not None:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        rest: Any = schema.get("additionalProperties")
        inner: Schema = rest if isinstance(rest, Mapping) else {}
        for key in [key for key, each in value.items() if not each and properties.get(key, inner).get(OMITTED)]:
            del value[key]
        for key, each in value.items():
            if each and isinstance(each, dict | list):
                _take_out(properties.get(key, inner), each)


def _object(schema: Schema, value: dict[str, Any]) -> None:
    for key, inner in _leading(schema).items():
        if key in value:
            value[key] = canonical(inner, value[key])
    rest: Any = schema.get("additionalProperties")
    if value and isinstance(rest, Mapping) and _holds(rest):
        value.update({key: canonical(rest, item) for key, item in value.items()})


def _leading(schema: Schema) -> Mapping[str, Schema]:
    """The fields of a schema that are quantities, or hold some."""
    known = _fields.get(id(schema))
    if known is None:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        known = _fields[id(schema)] = (schema, {key: inner for key, inner in properties.items() if _holds(inner)})
    return known[1]


def _holds(schema: Schema) -> bool:
    if schema.get("format") in _WRITTEN:
        return True
    inner = (schema.get("items"), schema.get("additionalProperties"))
    return bool(_leading(schema)) or any(isinstance(each, Mapping) and _holds(each) for each in inner)


def _in_one_line(value: Any) -> Any:
    """Base64 as Kubernetes writes it, which reads it with ends of lines within."""
    return "".join(value.split()) if isinstance(value, str) and ("\n" in value or "\r" in value) else value


def _written(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        return quantities.canonical(value)
    except ValueError:
        return value
