"""Fields that a JSON body has twice: a reader keeps the last of them, and who is strict, or wants to be warned, is told."""

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class _Pairs(list[tuple[str, Any]]):
    """An object with all of its fields, in their order."""


def fields_of(body: bytes, value: Any) -> dict[str, bool]:
    """The paths of all fields, in their order, and whether each stands in its object twice; empty where none does.

    Args:
        body: JSON that can be read.
        value: What was read of it.

    Examples:
        >>> fields_of(b'{"data":{"a":"1","b":"1","a":"2"}}', {"data": {"a": "2", "b": "1"}})
        {'data': False, 'data.b': False, 'data.a': True}
    """
    if _encode(value) == body.rstrip():  # most programs write JSON as this one does: then nothing was lost
        return {}
    found: dict[str, bool] = {}
    _look(json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), "", found)
    return found if any(found.values()) else {}


def _look(value: Any, path: str, found: dict[str, bool]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            inner = f"{path}.{key}" if path else key
            if key in seen and not found[inner]:
                del found[inner]  # it is told where it comes again
            found.setdefault(inner, key in seen)
            seen.add(key)
            _look(item, inner, found)
    elif isinstance(value, list):
        items: list[Any] = value
        for index, item in enumerate(items):
            _look(item, f"{path}[{index}]", found)
