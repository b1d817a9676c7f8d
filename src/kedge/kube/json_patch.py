"""JSON patch, RFC 6902: a list of operations on JSON pointers, all or nothing."""

from collections.abc import Callable
from typing import Any

import msgspec

from kedge import errors
from kedge.kube.go_values import json_type

_MISSING = object()
_OPERATIONS = 10_000  # Kubernetes' bounds, as is the next
_COPIED = 3 << 20  # bytes: copies of what holds copies would double an object with each operation
_encode = msgspec.json.Encoder().encode


def apply(document: Any, operations: Any) -> Any:
    """Apply operations in order.

    As on a real API server, less is refused than the RFC asks for: a field that an object does not have can be replaced, copied
    and tested as if it were null, and a value that is not given is null.

    Args:
        document: Any JSON; not changed.
        operations: ``[{"op": "replace", "path": "/spec/x", "value": 1}, …]``.

    Raises:
        BadRequest: An operation cannot be read.
        Invalid: An operation does not fit the document, a ``test`` fails, or too much is copied. Nothing was applied then.
        TooLarge: There are too many operations.

    Examples:
        >>> apply({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}])
        {'a': [1, 2, 3]}
    """
    if not isinstance(operations, list):
        raise _undecodable(operations, "value of type []handlers.jsonPatchOp")
    if len(operations) > _OPERATIONS:
        raise errors.TooLarge(f"The allowed maximum operations in a JSON patch is {_OPERATIONS}, got {len(operations)}")
    copied = 0
    for index, operation in enumerate(operations):
        before = document
        document = _apply_one(document, operation, index)
        if operation["op"] == "copy":
            copied += len(_encode(_looked_up(before, _pointer(operation["from"], ""), "")))
            if copied > _COPIED:
                why = f"the copies come to {copied} bytes, at most {_COPIED} are made. Make them in several patches, or smaller."
                raise errors.Invalid(f"JSON patch operation {index}: {why}")
    return document


def _apply_one(document: Any, operation: Any, index: int) -> Any:
    where = f"JSON patch operation {index}"
    _require_operation(operation, where)
    name, path, value = operation.get("op"), _pointer(operation["path"], where), operation.get("value")  # none is null
    if name == "add":
        return _edit(document, path, where, lambda parent, key: _insert(parent, key, value, where))
    if name == "remove":
        return _edit(document, path, where, lambda parent, key: _remove(parent, key, where))
    if name == "replace":
        return _edit(document, path, where, lambda parent, key: _replace(parent, key, value, where))
    if name == "test":
        if not same(_looked_up(document, path, where), value):
            raise errors.Invalid(f"{where}: test failed: {operation['path']} is not {value!r}.")
        return document
    if name in {"move", "copy"}:
        return _transfer(document, operation, path, where)
    raise errors.Invalid(f"{where}: op must be add, remove, replace, move, copy or test, got {name!r}.")


def _require_operation(operation: Any, where: str) -> None:
    if not isinstance(operation, dict):
        raise _undecodable(operation, "value of type handlers.jsonPatchOp")
    for key, value in operation.items():
        if key in {"op", "path", "from"} and not isinstance(value, str | None):
            raise _undecodable(value, f"struct field jsonPatchOp.{key} of type string")
    if not isinstance(operation.get("path"), str):
        raise errors.Invalid(f"{where}: must have op and path, got {operation!r}.")


def _undecodable(value: Any, wanted: str) -> errors.BadRequest:
    return errors.BadRequest(f"error decoding patch: json: cannot unmarshal {json_type(value)} into Go {wanted}")


def _transfer(document: Any, operation: dict[str, Any], path: list[str], where: str) -> Any:
    if not isinstance(operation.get("from"), str):
        raise errors.Invalid(f"{where}: {operation['op']} needs from.")
    source = _pointer(operation["from"], where)
    if operation["op"] == "copy":
        value = _looked_up(document, source, where)
    else:
        value = _read(document, source, where)
        if path[: len(source)] == source and len(path) > len(source):
            raise errors.Invalid(f"{where}: {operation['from']} cannot be moved into itself.")
        document = _edit(document, source, where, lambda parent, key: _remove(parent, key, where))
    return _edit(document, path, where, lambda parent, key: _insert(parent, key, value, where))


def _pointer(text: str, where: str) -> list[str]:
    if text and "/" not in text:
        raise errors.Invalid(f"{where}: a path begins with '/', got {text!r}.")
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


def _looked_up(document: Any, path: list[str], where: str) -> Any:
    """What stands at a path; as on a real API server, a field that an object does not have is null."""
    parent = _read(document, path[:-1], where)
    return parent.get(path[-1]) if path and isinstance(parent, dict) else _read(document, path, where)


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
    if isinstance(parent, list):
        _read(parent, [key], where)
        return [value if position == int(key) else item for position, item in enumerate(parent)]
    return {**_object(parent, key, where), key: value}


def _object(parent: Any, key: str, where: str) -> dict[str, Any]:
    if not isinstance(parent, dict):
        raise errors.Invalid(f"{where}: {key!r} cannot be set in {parent!r}, which is no object.")
    return parent


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: ``true`` is not ``1``, which Python takes it for."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right
