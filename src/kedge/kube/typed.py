"""What a schema says of a value: which fields it has, how two of them differ, and how they are merged.

Four questions of server-side apply, each a walk over values with their schema beside them: ``x-kubernetes-list-type``,
``-list-map-keys`` and ``-map-type`` say what is one field and what is many. What has no schema is taken as it looks: objects are
merged, lists are one field each. Everything here is pure: values are shared, never changed.

The rules: https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/555-server-side-apply (merge semantics).
"""

from collections.abc import Mapping
from typing import Any

from kedge.kube import go_values
from kedge.kube.field_sets import Set, compact, has, node, paths
from kedge.kube.schemas import ZERO

Schema = Mapping[str, Any] | None
_ABSENT: Any = object()
_SCALARS = frozenset({"string", "integer", "number", "boolean"})


def _shape(schema: Schema, value: Any) -> str:
    """``leaf`` for what is one field, else ``map``, ``set`` (a list by its values) or ``items`` (a list by keys)."""
    kind = schema.get("type") if schema else None
    if kind in _SCALARS:
        return "leaf"
    if kind is None:
        return "map" if isinstance(value, dict) else "leaf"  # a list of which nothing is known is one field
    known: Mapping[str, Any] = schema or {}
    if kind == "array":
        return {"map": "items", "set": "set"}.get(known.get("x-kubernetes-list-type", ""), "leaf")
    if known.get("x-kubernetes-map-type") == "atomic":
        return "leaf"
    return "map" if isinstance(value, dict) or value is None or value is _ABSENT else "leaf"


def _field(schema: Schema, name: str) -> Schema:
    """The schema of an object's field."""
    if not schema:
        return None
    found = (schema.get("properties") or {}).get(name)
    if found is not None:
        return found
    rest = schema.get("additionalProperties")
    return rest if isinstance(rest, Mapping) else None


def _is_named(schema: Schema, name: str) -> bool:
    return bool(schema) and name in (schema.get("properties") or {})


def step_of(schema: Schema, item: Any) -> str | None:
    """The step of a path to an item of a list; ``None`` where the item has none of the list's keys.

    Args:
        schema: The list's.
        item: One of it.
    """
    schema = schema or {}
    if schema.get("x-kubernetes-list-type") == "set":
        return f"v:{compact(item)}"
    if not isinstance(item, dict):
        return None
    fields = (schema.get("items") or {}).get("properties") or {}
    keys = {}
    for key in schema.get("x-kubernetes-list-map-keys") or ():
        schema_of_key = fields.get(key) or {}
        value = item.get(key, schema_of_key.get("default", schema_of_key.get(ZERO, _ABSENT)))
        if value is not _ABSENT:
            keys[key] = value
    return f"k:{compact(keys)}" if keys else None


def _steps(schema: Schema, items: Any) -> dict[str, list[Any]]:
    """The items of a list by their steps, in the list's order; more than one where a step is there twice."""
    found: dict[str, list[Any]] = {}
    for item in items or ():
        found.setdefault(step_of(schema, item) or "k:{}", []).append(item)
    return found


def fields_of(schema: Schema, value: Any) -> Set | None:
    """The fields that a value has, below itself.

    Returns:
        ``None`` where the value is one field.

    Examples:
        >>> fields_of(None, {"a": {"b": 1}, "c": {}})
        {'f:a': {'.': {}, 'f:b': {}}, 'f:c': {}}
    """
    shape = _shape(schema, value)
    if shape == "leaf":
        return None
    found: Set = {}
    if shape == "map":
        for name, item in (value or {}).items():
            inner = fields_of(_field(schema, name), item)
            here = inner is None or item is None or item == {} or not _is_named(schema, name)
            below = node(inner or {}, here=here)
            if below is not None:
                found[f"f:{name}"] = below
        return found
    schema = schema or {}
    for step, items in _steps(schema, value).items():
        inner = fields_of(schema.get("items"), items[0]) if len(items) == 1 else None
        found[step] = node(inner or {}, here=True) or {}
    return found


def compare(schema: Schema, old: Any, new: Any) -> tuple[Set, Set]:
    """What is other in a new value: the fields that are new or changed, and those that are gone.

    Examples:
        >>> compare(None, {"a": 1, "b": {"c": 2}}, {"a": 2})
        ({'f:a': {}}, {'f:b': {'.': {}, 'f:c': {}}})
    """
    changed: Set = {}
    removed: Set = {}
    _compare(schema, old, new, changed, removed)
    return changed, removed


def _compare(schema: Schema, old: Any, new: Any, changed: Set, removed: Set) -> bool:
    """Fill in what differs below; whether the value itself is a field that differs."""
    before, after = _shape(schema, old), _shape(schema, new)
    if old is _ABSENT:
        before = after
    elif new is _ABSENT:
        after = before
    if before != after:  # of what has no schema, one is an object and the other is not
        whole = old if before == "map" else new
        pairs = (whole, _ABSENT) if before == "map" else (_ABSENT, whole)
        _compare_maps(schema, *pairs, changed, removed)
        return True
    if before == "leaf":
        return old != new or isinstance(old, bool) is not isinstance(new, bool)
    if old in (_ABSENT, None, {}, []) and new in (_ABSENT, None, {}, []):
        return old is not _ABSENT and new is not _ABSENT and old != new
    if before == "map":
        _compare_maps(schema, old, new, changed, removed)
    else:
        _compare_lists(schema, old, new, changed, removed)
    return False


def _note(step: str, schema: Schema, pair: tuple[Any, Any], changed: Set, removed: Set) -> None:
    """Compare what one step leads to."""
    old, new = pair
    came: Set = {}
    gone: Set = {}
    differs = _compare(schema, old, new, came, gone)
    if (below := node(came, here=new is not _ABSENT and (old is _ABSENT or differs))) is not None:
        changed[step] = below
    if (below := node(gone, here=new is _ABSENT)) is not None:
        removed[step] = below


def _compare_maps(schema: Schema, old: Any, new: Any, changed: Set, removed: Set) -> None:
    before: Mapping[str, Any] = old if isinstance(old, dict) else {}
    after: Mapping[str, Any] = new if isinstance(new, dict) else {}
    properties = (schema.get("properties") or {}) if schema else {}
    rest = schema.get("additionalProperties") if schema else None
    others = None if isinstance(rest, bool) else rest
    for name in {**before, **after} if before else after:
        was, now = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if was is now or (was is not _ABSENT and now is not _ABSENT and was == now and was.__class__ is now.__class__):
            continue
        inner = properties.get(name)
        if inner is None:
            inner = others
        # What Kubernetes' own types always have is there when nothing is written: it is neither new nor gone.
        elif was is _ABSENT and old is not _ABSENT:
            was = _always(inner)
        elif now is _ABSENT and new is not _ABSENT:
            now = _always(inner)
        if was is now:
            continue
        if inner is not None and inner.get("type") in _SCALARS:
            if now is _ABSENT:
                removed[f"f:{name}"] = {}
            elif was != now or was is _ABSENT:
                changed[f"f:{name}"] = {}
        else:
            _note(f"f:{name}", inner, (was, now), changed, removed)


def _always(schema: Mapping[str, Any]) -> Any:
    return schema.get(ZERO, _ABSENT)


def _compare_lists(schema: Schema, old: Any, new: Any, changed: Set, removed: Set) -> None:
    schema = schema or {}
    before = _steps(schema, old if isinstance(old, list) else ())
    after = _steps(schema, new if isinstance(new, list) else ())
    inner = schema.get("items")
    for step in {**before, **after}:
        was, now = before.get(step, ()), after.get(step, ())
        if len(was) > 1 or len(now) > 1:  # items that cannot be told apart are one field
            if not now:
                removed[step] = {}
            elif list(was) != list(now):
                changed[step] = {}
            continue
        _note(step, inner, (was[0] if was else _ABSENT, now[0] if now else _ABSENT), changed, removed)


def merge(schema: Schema, live: Any, applied: Any) -> Any:
    """A value with what was applied to it; the rest stays.

    Items of lists that are merged come in the order in which they were applied; those that only the live value has keep their
    place before the next that both have.

    Examples:
        >>> merge(None, {"a": 1, "b": {"c": 2}}, {"b": {"d": 3}})
        {'a': 1, 'b': {'c': 2, 'd': 3}}
    """
    shape = _shape(schema, applied)
    if shape == "map" and isinstance(live, dict) and isinstance(applied, dict):
        result = dict(live)
        for name, value in applied.items():
            result[name] = merge(_field(schema, name), live[name], value) if name in live else value
        return result
    if shape in {"set", "items"} and isinstance(live, list) and isinstance(applied, list):
        return _merge_lists(schema, live, applied)
    return applied


def _merge_lists(schema: Schema, live: list[Any], applied: list[Any]) -> list[Any]:
    schema = schema or {}
    mine, theirs = _steps(schema, applied), _steps(schema, live)
    waiting = [(step_of(schema, item) or "k:{}", item) for item in live]
    shared = [step for step in mine if step in theirs]
    result: list[Any] = []
    at = 0
    for step, items in mine.items():
        # Up to the next that both have: what only the live list has stands before it.
        while at < len(waiting) and not (shared and waiting[at][0] == shared[0]):
            if waiting[at][0] not in mine:
                result.append(waiting[at][1])
            at += 1
        found = theirs.get(step, ())
        result.append(merge(schema.get("items"), found[0], items[-1]) if len(found) == 1 else items[-1])
        if shared and shared[0] == step:
            del shared[0]
            at += 1
    return result + [item for step, item in waiting[at:] if step not in mine]


def remove(schema: Schema, value: Any, gone: Set) -> Any:
    """A value without some of its fields; an object or list of which nothing is left goes with them.

    Examples:
        >>> remove(None, {"a": 1, "b": {"c": 2}, "d": {"e": 1, "f": 2}}, {"f:b": {"f:c": {}}, "f:d": {"f:e": {}}})
        {'a': 1, 'd': {'f': 2}}
    """
    kept = _remove(schema, value, gone)
    return {} if kept is _ABSENT else kept


def _remove(schema: Schema, value: Any, gone: Set) -> Any:
    shape = _shape(schema, value)
    if shape == "leaf" or not value:
        return value
    if shape == "map":
        result: dict[str, Any] = {}
        for name, item in value.items():
            kept = _kept(_field(schema, name), item, gone.get(f"f:{name}"))
            if kept is not _ABSENT:
                result[name] = kept
        return result or _ABSENT
    schema = schema or {}
    items = [_kept(schema.get("items"), item, gone.get(step_of(schema, item) or "k:{}")) for item in value]
    return [item for item in items if item is not _ABSENT] or _ABSENT


def _kept(schema: Schema, value: Any, gone: Set | None) -> Any:
    if gone is None:
        return value
    return _ABSENT if has(gone) else _remove(schema, value, gone)


def with_named(schema: Schema, one: Set) -> Set:
    """A set with the fields that lead to its members, where the schema names them: an object goes when all of it goes."""
    result: Set = {}
    for step, inner in one.items():
        if step == ".":
            result[step] = inner
            continue
        kind, _, name = step.partition(":")
        below = _field(schema, name) if kind == "f" else (schema.get("items") if schema else None)
        if not inner:
            result[step] = inner
            continue
        found = with_named(below, inner)
        named = kind == "f" and _is_named(schema, name)
        result[step] = {".": {}, **found} if named and "." not in found else found
    return result


def faults(schema: Schema, value: Any, path: str = "") -> list[str]:
    """What makes a value one that cannot be applied, in Kubernetes' words.

    That is a type that is wrong, a field that nobody knows, and items of a list that is merged which are there twice, or have no
    key.

    Args:
        schema: The value's.
        value: What is to be applied.
        path: Where it stands, such as ``.spec.ports``.
    """
    if not schema or value is None:
        return []
    wanted = _mistyped(schema.get("type"), value)
    if wanted:
        return [f"{path}: expected {wanted}"]
    if isinstance(value, dict):
        return [fault for name, item in value.items() for fault in _field_faults(schema, name, item, path)]
    return _item_faults(schema, value, path) if isinstance(value, list) else []


def _mistyped(kind: str | None, value: Any) -> str:
    """What is expected in place of a value; "" where it is right."""
    if kind == "string" and not isinstance(value, str):
        return f"string, got &value.valueUnstructured{{Value:{go_values.source(value)}}}"
    if kind == "boolean" and not isinstance(value, bool):
        return f"boolean, got &{{{go_values.plain(value)}}}"
    if kind in {"integer", "number"} and (not isinstance(value, int | float) or isinstance(value, bool)):
        return f"numeric (int or float), got {go_values.type_name(value)}"
    if kind == "array" and not isinstance(value, list):
        return f"list, got &{{{go_values.plain(value)}}}"
    return f"map, got &{{{go_values.plain(value)}}}" if kind == "object" and not isinstance(value, dict) else ""


def _field_faults(schema: Mapping[str, Any], name: str, item: Any, path: str) -> list[str]:
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties") is True
    if is_open or "properties" not in schema or _is_named(schema, name) or _field(schema, name) is not None:
        return faults(_field(schema, name), item, f"{path}.{name}")
    return [f"{path}.{name}: field not declared in schema"]


def _item_faults(schema: Mapping[str, Any], value: list[Any], path: str) -> list[str]:
    inner, shape = schema.get("items"), _shape(schema, value)
    found: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        if shape == "leaf":
            found += faults(inner, item, f"{path}[{index}]")
            continue
        step = step_of(schema, item)
        if step is None:
            keys = compact(list(schema.get("x-kubernetes-list-map-keys") or ()))
            why = f"has an element that omits all key fields {keys} (and doesn't have default values for any key fields)"
            told = f"with keys {why}" if isinstance(item, dict) else "with keys may not have non-map elements"
            found.append(f"{path}: element {index}: associative list {told}")
            continue
        told = "".join(_told(step))
        if step in seen:
            found.append(f"{path}: duplicate entries for key {told}")
        seen.add(step)
        found += faults(inner, item, path + told)
    return found


def _told(step: str) -> str:
    return next(paths({step: {}}))
