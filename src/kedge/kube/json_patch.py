"""JSON patch, RFC 6902: a list of operations on JSON pointers, all or nothing."""

from collections.abc import Callable
from typing import Any

from kedge import errors

_MISSING = object()


def apply(document: Any, operations: Any) -> Any:
    """Apply operations in order.

    Args:
        document: Any JSON; not changed.
        operations: ``[{"op": "replace", "path": "/spec/x", "value": 1}, …]``.

    Raises:
        BadRequest: An operation cannot be read.
        Invalid: An operation does not fit the document, or a ``test`` fails. Nothing was applied then.

    Examples:
        >>> apply({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}])
        {'a': [1, 2, 3]}
    """
    if not isinstance(operations, list):
        raise errors.BadRequest(f"a JSON patch must be a list of operations, got {type(operations).__name__}.")
    for index, operation in enumerate(operations):
        document = _apply_one(document, operation, index)
    return document


def _apply_one(document: Any, operation: Any, index: int) -> Any:
    where = f"JSON patch operation {index}"
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise errors.BadRequest(f"{where}: must be an object with op and path, got {operation!r}.")
    name, path = operation.get("op"), _pointer(operation["path"], where)
    if name in {"add", "replace", "test"} and "value" not in operation:
        raise errors.BadRequest(f"{where}: {name} needs a value.")
    if name == "add":
        return _edit(document, path, where, lambda parent, key: _insert(parent, key, operation["value"], where))
    if name == "remove":
        return _edit(document, path, where, lambda parent, key: _remove(parent, key, where))
    if name == "replace":
        return _edit(document, path, where, lambda parent, key: _replace(parent, key, operation["value"], where))
    if name == "test":
        if not _equal(_read(document, path, where), operation["value"]):
            raise errors.Invalid(f"{where}: test failed: {operation['path']} is not {operation['value']!r}.")
        return document
    if name in {"move", "copy"}:
        return _transfer(document, operation, path, where)
    raise errors.BadRequest(f"{where}: op must be add, remove, replace, move, copy or test, got {name!r}.")


def _transfer(document: Any, operation: dict[str, Any], path: list[str], where: str) -> Any:
    if not isinstance(operation.get("from"), str):
        raise errors.BadRequest(f"{where}: {operation['op']} needs from.")
    source = _pointer(operation["from"], where)
    value = _read(document, source, where)
    if operation["op"] == "move":
        if path[: len(source)] == source and len(path) > len(source):
            raise errors.Invalid(f"{where}: {operation['from']} cannot be moved into itself.")
        document = _edit(document, source, where, lambda parent, key: _remove(parent, key, where))
    return _edit(document, path, where, lambda parent, key: _insert(parent, key, value, where))


def _pointer(text: str, where: str) -> list[str]:
    if text and not text.startswith("/"):
        raise errors.BadRequest(f"{where}: a path begins with '/', got {text!r}.")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _edit(document: Any, path: list[str], where: str, change: Callable[[Any, str], Any]) -> Any:
    """Rebuild the document along a path; what lies beside it is shared."""
    if not path:
        return change(None, "")
    if len(path) == 1:
        return change(document, path[0])
    child = _edit(_read(document, path[:1], where), path[1:], where, change)
    if isinstance(document, list):
        return [child if position == int(path[0]) else item for position, item in enumerate(document)]
    return {**document, path[0]: child}


def _read(document: Any, path: list[str], where: str) -> Any:
    for key in path:
        found: Any = _MISSING
        if isinstance(document, dict):
            found = document.get(key, _MISSING)
        elif isinstance(document, list):
            found = document[_position(key, len(document) - 1, where)]
        if found is _MISSING:
            raise errors.Invalid(f"{where}: there is no {'/' + '/'.join(path)!r} in the object.")
        document = found
    return document


def _position(key: str, last: int, where: str) -> int:
    if not key.isascii() or not key.isdigit() or (len(key) > 1 and key[0] == "0") or int(key) > last:
        raise errors.Invalid(f"{where}: {key!r} is no position in a list whose last is {last}.")
    return int(key)


def _insert(parent: Any, key: str, value: Any, where: str) -> Any:
    if parent is None and not key:
        return value
    if isinstance(parent, list):
        position = len(parent) if key == "-" else _position(key, len(parent), where)
        return [*parent[:position], value, *parent[position:]]
    return {**_object(parent, key, where), key: value}


def _remove(parent: Any, key: str, where: str) -> Any:
    if parent is None and not key:
        raise errors.Invalid(f"{where}: the whole object cannot be removed.")
    _read(parent, [key], where)
    if isinstance(parent, list):
        return [item for position, item in enumerate(parent) if position != int(key)]
    return {name: item for name, item in _object(parent, key, where).items() if name != key}


def _replace(parent: Any, key: str, value: Any, where: str) -> Any:
    if parent is None and not key:
        return value
    _read(parent, [key], where)
    if isinstance(parent, list):
        return [value if position == int(key) else item for position, item in enumerate(parent)]
    return {**_object(parent, key, where), key: value}


def _object(parent: Any, key: str, where: str) -> dict[str, Any]:
    if not isinstance(parent, dict):
        raise errors.Invalid(f"{where}: {key!r} cannot be set in {parent!r}, which is no object.")
    return parent


def _equal(left: Any, right: Any) -> bool:
    """JSON's equality, in which ``true`` is not ``1``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return left == right
