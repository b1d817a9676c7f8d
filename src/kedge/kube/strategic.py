"""Strategic merge patch, as ``kubectl apply`` sends it for built-in kinds.

It is a merge patch in which some lists are merged by key instead of replaced (`Kind.merge_keys` says which), with directives:

- ``$patch: delete`` removes the object or list item it stands in, ``$patch: replace`` replaces it by what stands beside it.
- ``$deleteFromPrimitiveList/<list>`` removes values from a list of plain values.
- ``$setElementOrder/<list>`` gives the order of the merged list.
- ``$retainKeys`` removes every key of an object that it does not name.
"""

from collections.abc import Mapping
from typing import Any

from kedge import errors

_DELETE_VALUES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply(target: Any, patch: Mapping[str, Any], merge_keys: Mapping[str, str]) -> Any:
    """Change an object.

    Args:
        target: The object; not changed.
        patch: The patch.
        merge_keys: Path of a list to its merge key; ``""`` for plain values. Other lists are replaced.

    Raises:
        BadRequest: A directive cannot be read.

    Examples:
        >>> apply({"l": [{"name": "a", "v": 1}, {"name": "b"}]}, {"l": [{"name": "a", "v": 2}]}, {"l": "name"})
        {'l': [{'name': 'a', 'v': 2}, {'name': 'b'}]}
    """
    return _object(target, patch, merge_keys, "")


def _object(target: Any, patch: Mapping[str, Any], merge_keys: Mapping[str, str], path: str) -> Any:
    directive = patch.get("$patch")
    if directive not in (None, "delete", "replace", "merge"):  # it is any JSON, and a list cannot be hashed
        raise errors.BadRequest(
            f"strategic merge patch: {path or 'object'}: $patch must be delete or replace, got {directive!r}."
        )
    if directive == "delete":
        return {}
    if directive == "replace":
        return _clean({key: value for key, value in patch.items() if key != "$patch"})
    result: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    if (retained := patch.get("$retainKeys")) is not None:
        _must_be_list(retained, "$retainKeys", path)
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _value(result.get(key), value, merge_keys, f"{path}.{key}" if path else key)
    _list_directives(result, patch, merge_keys, path)
    return result


def _value(target: Any, value: Any, merge_keys: Mapping[str, str], path: str) -> Any:
    if isinstance(value, dict):
        return _object(target, value, merge_keys, path)
    if isinstance(value, list):
        key = merge_keys.get(path)
        if key is None or not isinstance(target, list):
            return _new_list(value, merge_keys, path) if key else _clean(value)
        return _list(target, value, merge_keys, path) if key else _values(target, value)
    return value


def _values(target: list[Any], added: list[Any]) -> list[Any]:
    merged = list(target)
    for value in added:
        if value not in merged:
            merged.append(value)
    return merged


def _list(target: list[Any], patch: list[Any], merge_keys: Mapping[str, str], path: str) -> list[Any]:
    key = merge_keys[path]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [_clean(item) for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    merged = list(target)
    for item in patch:
        identity = _identity(item, key, path)
        # Items may be equal in their merge key, such as a port for TCP and the same for UDP: the first is the one that is meant.
        alike = [place for place, other in enumerate(merged) if isinstance(other, dict) and other.get(key) == identity]
        if item.get("$patch") == "delete":
            merged = [other for place, other in enumerate(merged) if place not in alike]
        elif alike:
            merged[alike[0]] = _object(merged[alike[0]], item, merge_keys, path)
        else:
            merged.append(_object(None, item, merge_keys, path))
    return merged


def _new_list(patch: list[Any], merge_keys: Mapping[str, str], path: str) -> list[Any]:
    """A list that was not there: as it was sent, items that are equal in their merge key too."""
    kept = [item for item in patch if not (isinstance(item, dict) and item.get("$patch") in ("delete", "replace"))]
    for item in kept:
        _identity(item, merge_keys[path], path)
    return [_object(None, item, merge_keys, path) for item in kept]


def _identity(item: Any, key: str, path: str) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get(key), str | int):
        raise errors.BadRequest(
            f"strategic merge patch: {path}: each item needs {key!r}, by which the list is merged; got {item!r}."
        )
    return item[key]


def _list_directives(result: dict[str, Any], patch: Mapping[str, Any], merge_keys: Mapping[str, str], path: str) -> None:
    for directive, values in patch.items():
        if directive.startswith(_DELETE_VALUES):
            name = directive.removeprefix(_DELETE_VALUES)
            _must_be_list(values, directive, path)
            if isinstance(result.get(name), list):
                result[name] = [value for value in result[name] if value not in values]
    for directive, order in patch.items():
        if directive.startswith(_ORDER):
            name = directive.removeprefix(_ORDER)
            _must_be_list(order, directive, path)
            if isinstance(result.get(name), list):
                result[name] = _ordered(result[name], order, merge_keys.get(f"{path}.{name}" if path else name, ""))


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Put the named items into the order given; an item that is not named stays behind the one it followed."""
    rank = {_rank_key(entry, key): position for position, entry in enumerate(order)}
    decorated = list[tuple[float, int, Any]]()
    last = -1.0
    for position, item in enumerate(items):
        found = rank.get(_rank_key(item, key))
        last = found if found is not None else last
        decorated.append((last, position if found is None else -1, item))
    return [item for _, _, item in sorted(decorated, key=lambda entry: entry[:2])]


def _rank_key(entry: Any, key: str) -> str:
    return repr(entry.get(key) if isinstance(entry, dict) else entry)


def _must_be_list(value: Any, directive: str, path: str) -> None:
    if not isinstance(value, list):
        raise errors.BadRequest(f"strategic merge patch: {path or 'object'}: {directive} must be a list, got {value!r}.")


def _clean(value: Any) -> Any:
    """Without directives and nulls, for what is taken over whole."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}
    return [_clean(item) for item in value] if isinstance(value, list) else value
