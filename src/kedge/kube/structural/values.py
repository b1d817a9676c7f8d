"""Checks a value against a structural schema, with kube-apiserver's verdicts, paths and words.

What follows from what is as in the OpenAPI validator that kube-apiserver uses: each keyword speaks for itself, of a text's rules
only the first, and what ``anyOf`` and its kin say stands at no path. A part that is as it was before is not looked at again
(*ratcheting*): what was stored under an older definition may stay.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube.faults import duplicate, invalid, number, of_type, required, shown, too_long, too_many, unsupported
from kedge.kube.json_patch import same
from kedge.kube.structural.formats import FORMATS
from kedge.kube.structural.regexes import PatternError, compiled

Schema = Mapping[str, Any]
# There was nothing before, or nothing that can be compared.
NOTHING: Any = object()
INT_OR_STRING = "x-kubernetes-int-or-string"
EMBEDDED = "x-kubernetes-embedded-resource"
_ABOUT_NOTHING = "<nil>"
_MAX_INT32, _MAX_INT64 = (1 << 31) - 1, (1 << 63) - 1
_TYPE_META: Schema = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def faults(schema: Schema, value: Any, path: str, old: Any = NOTHING) -> list[Cause]:
    """What is wrong with a value.

    Args:
        schema: Structural.
        value: Pruned and defaulted.
        path: Where it stands, ``""`` for the root.
        old: What stood there before, if that is known.
    """
    found: list[Cause] = []
    for each in _faults(schema, value, path, old):
        if each not in found:
            found.append(each)
    return found


def child(path: str, key: str) -> str:
    """The path of a field."""
    return f"{path}.{key}" if path else key


def before(schema: Schema, old: Any, item: Any) -> Any:
    """What an item of a list was before: only the items of list maps are known again, by their keys."""
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map" or not isinstance(item, dict):
        return NOTHING
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    wanted = [item.get(key) for key in keys]
    return next((each for each in old if isinstance(each, dict) and same([each.get(key) for key in keys], wanted)), NOTHING)


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types that a schema allows; none allows all."""
    if schema.get(INT_OR_STRING):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def type_name(value: Any) -> str:
    """JSON's name of a value's type."""
    if value is None:
        return "null"
    names = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "object")


def _faults(schema: Schema, value: Any, path: str, old: Any) -> Iterator[Cause]:
    if old is not NOTHING and same(old, value):
        return
    types = types_of(schema)
    if value is None:
        if types and not schema.get("nullable"):
            yield of_type(path, "null", f'{path} in body must be of type {",".join(types)}: "null"')
        return
    yield from _type_faults(schema, types, value, path)
    yield from _any_faults(schema, value, path)
    if isinstance(value, str):
        yield from _text_faults(schema, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number_faults(schema, types, value, path)
    elif isinstance(value, list):
        yield from _list_faults(schema, value, path, old)
    elif isinstance(value, dict):
        yield from _object_faults(schema, value, path, old)


def _any_faults(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """What may be said of a value of any type."""
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            yield from _junctions(name, schema[name], value, path)
    if "not" in schema and not faults(schema["not"], value, path):
        yield invalid(_ABOUT_NOTHING, "", f"{_quoted(path)} must not validate the schema (not)")
    if schema.get("enum") and not any(same(value, each) for each in schema["enum"]):
        yield unsupported(path, value, schema["enum"])


def _type_faults(schema: Schema, types: tuple[str, ...], value: Any, path: str) -> Iterator[Cause]:
    name, wanted = type_name(value), str(schema.get("format") or "")
    numeric = "number" in types or "integer" in types
    is_whole = name == "number" and value.is_integer() and "integer" in types
    fits = name in types or is_whole or (name == "integer" and "number" in types)
    formatted = {"integer": "int64", "number": "float64"}.get(name, "")
    if not types and not wanted:
        return
    if wanted and name not in {"string", "array"} and not fits and formatted != wanted:
        yield of_type(path, formatted, f"{path} in body must be of type {wanted}: {shown(formatted)}")
    elif wanted and not numeric and name in {"string", "array"}:
        return
    elif types and not fits:
        yield of_type(path, name, f"{path} in body must be of type {','.join(types)}: {shown(name)}")


def _quoted(path: str) -> str:
    return f'"{path}"'


def _junctions(name: str, schemas: list[Schema], value: Any, path: str) -> Iterator[Cause]:
    results = [faults(each, value, path) for each in schemas]
    good = sum(1 for each in results if not each)
    if name == "allOf":
        for each in results:
            yield from each
        if good < len(results):
            yield invalid(_ABOUT_NOTHING, "", f"{_quoted(path)} must validate all the schemas (allOf)")
        return
    if good == 0:
        what = "at least one schema (anyOf)" if name == "anyOf" else "one and only one schema (oneOf). Found none valid"
        yield invalid(_ABOUT_NOTHING, "", f"{_quoted(path)} must validate {what}")
        yield from results[0]
    elif name == "oneOf" and good > 1:
        yield invalid(
            _ABOUT_NOTHING, "", f"{_quoted(path)} must validate one and only one schema (oneOf). Found {good} valid alternatives"
        )


def _text_faults(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    form = str(schema.get("format") or "")
    if form in FORMATS and not FORMATS[form](value):
        yield of_type(path, value, f"{path} in body must be of type {form}: {shown(value)}")
    limit, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if limit is not None and len(value) > limit:
        yield too_long(path, int(limit))
    elif least is not None and len(value) < least:
        yield invalid(path, value, f"{path} in body should be at least {int(least)} chars long")
    elif pattern:
        try:
            matches = compiled(pattern).search(value) is not None
        except PatternError as error:
            yield invalid(path, value, f"{path} in body should match '{pattern}': {error}")
            return
        if not matches:
            yield invalid(path, value, f"{path} in body should match '{pattern}'")


def _number_faults(schema: Schema, types: tuple[str, ...], value: float, path: str) -> Iterator[Cause]:
    wanted, form = types[0] if types else "", str(schema.get("format") or "")
    if wanted == "integer":
        limit = _MAX_INT32 if form == "int32" else _MAX_INT64
        if value != int(value) or not -limit - 1 <= value <= limit:
            kind = f"integer with format {form}" if form else "integer (default format)"
            yield invalid(_ABOUT_NOTHING, "", f"Checked value must be of type {kind} in {path}")
    whole: Callable[[float], float] = int if isinstance(value, int) else float
    if (factor := schema.get("multipleOf")) is not None:
        factor = whole(factor)
        if factor <= 0:
            yield invalid(path, 0, f"factor MultipleOf declared for {path} must be positive: {number(factor)}")
        elif value % factor if isinstance(value, int) else not (value / factor).is_integer():
            yield invalid(path, value, f"{path} in body should be a multiple of {number(factor)}")
    if (limit := schema.get("maximum")) is not None:
        exclusive = bool(schema.get("exclusiveMaximum"))
        if value > whole(limit) or (exclusive and value == whole(limit)):
            yield invalid(
                path, value, f"{path} in body should be less than {'' if exclusive else 'or equal to '}{number(whole(limit))}"
            )
    if (limit := schema.get("minimum")) is not None:
        exclusive = bool(schema.get("exclusiveMinimum"))
        if value < whole(limit) or (exclusive and value == whole(limit)):
            yield invalid(
                path, value, f"{path} in body should be greater than {'' if exclusive else 'or equal to '}{number(whole(limit))}"
            )


def _list_faults(schema: Schema, value: list[Any], path: str, old: Any) -> Iterator[Cause]:
    items = schema.get("items")
    if isinstance(items, Mapping):
        for index, item in enumerate(value):
            yield from _faults(items, item, f"{path}[{index}]", before(schema, old, item))
    limit, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {int(least)} items")
    if limit is not None and len(value) > limit:
        yield too_many(path, len(value), int(limit))


def _object_faults(schema: Schema, value: dict[str, Any], path: str, old: Any) -> Iterator[Cause]:
    limit, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {int(least)} properties")
    if limit is not None and len(value) > limit:
        yield too_many(path, len(value), int(limit))
    properties: Schema = schema.get("properties") or {}
    needed = list(schema.get("required") or ())
    if schema.get(EMBEDDED):
        properties, needed = {**_TYPE_META, **properties}, [*needed, "apiVersion", "kind"]
    for key in needed:
        if key not in value:
            yield required(child(path, key))
    extra = schema.get("additionalProperties")
    was: Any = old if isinstance(old, dict) else {}
    for key, each in value.items():
        inner = properties.get(key, extra)
        if isinstance(inner, Mapping):
            yield from _faults(inner, each, child(path, key), was.get(key, NOTHING))


def list_faults(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """Where a set or a list map holds one thing twice.

    Args:
        schema: Structural.
        value: Any; what has not the schema's type is passed over.
        path: Where it stands.
    """
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, each in value.items():
            inner = properties.get(key, extra)
            if isinstance(inner, Mapping):
                yield from list_faults(inner, each, child(path, key))
    if not isinstance(value, list) or not isinstance(items := schema.get("items"), Mapping):
        return
    for index, item in enumerate(value):
        yield from list_faults(items, item, f"{path}[{index}]")
    how, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if how not in {"set", "map"}:
        return
    seen = set[str]()
    for index, item in enumerate(value):
        told = {key: item[key] for key in sorted(keys) if key in item} if how == "map" and isinstance(item, dict) else item
        if (text := shown(told)) in seen:
            yield duplicate(f"{path}[{index}]", told)
        seen.add(text)
