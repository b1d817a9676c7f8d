"""Values of JSON as Go prints them, for messages that are to be those of Kubernetes."""

import json
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}

_JSON: Mapping[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def json_type(value: Any) -> str:
    """What Go calls a value of JSON that it cannot read.

    Examples:
        >>> json_type([]), json_type(5)
        ('array', 'number')
    """
    return _JSON.get(type(value), "null")


def type_name(value: Any) -> str:
    """The type that a value has where Go has read it without knowing better, as ``%T`` prints it.

    Examples:
        >>> type_name({}), type_name(5)
        ('map[string]interface {}', 'int64')
    """
    return _TYPES.get(type(value), "<nil>")


def plain(value: Any) -> str:
    """A value as ``%v`` prints it.

    Examples:
        >>> plain({"spec": {"b": [1, "x"], "a": None}})
        'map[spec:map[a:<nil> b:[1 x]]]'
    """
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{plain(item)}' for key, item in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(plain, value))}]"
    return value if isinstance(value, str) else "<nil>" if value is None else json.dumps(value)


def source(value: Any) -> str:
    """A value as ``%#v`` prints it.

    Examples:
        >>> source({"b": [1]})
        'map[string]interface {}{"b":[]interface {}{1}}'
    """
    if isinstance(value, dict):
        return f"{type_name(value)}{{{', '.join(f'{json.dumps(key)}:{source(item)}' for key, item in sorted(value.items()))}}}"
    if isinstance(value, list):
        return f"{type_name(value)}{{{', '.join(map(source, value))}}}"
    return "interface {}(nil)" if value is None else json.dumps(value, ensure_ascii=False)
