"""Types of expressions, and those that a schema's parts have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kedge.kube.cel.syntax import RESERVED


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type.

    Attributes:
        name: ``int``, ``list``, ``object``…; one letter stands for any type.
        parts: Of a list its items', of a map its keys' and values'.
        fields: Of an object.
        most: How long such a value may be at most, in characters, items or entries; 0 where that has no meaning.
        least: How many bytes it takes at least, as JSON.
    """

    name: str
    parts: "tuple[Kind, ...]" = ()
    fields: "Mapping[str, Kind] | None" = None
    most: int = 0
    least: int = 0

    def __eq__(self, other: object) -> bool:
        """Whether it is the same type; an object's is told by its fields."""
        if not isinstance(other, Kind) or (self.name, self.parts) != (other.name, other.parts):
            return False
        return self.fields is other.fields or (
            self.fields is not None and other.fields is not None and self.fields.keys() == other.fields.keys()
        )

    def __hash__(self) -> int:
        return hash((self.name, self.parts))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parts))})" if self.parts else self.name


def named(name: str) -> Kind:
    """A type without parts."""
    return Kind(name)


DYN = Kind("dyn")


def list_of(item: Kind) -> Kind:
    """A list."""
    return Kind("list", (item,))


def map_of(key: Kind, value: Kind) -> Kind:
    """A map."""
    return Kind("map", (key, value))


def optional_of(kind: Kind) -> Kind:
    """A value that may not be there."""
    return Kind("optional_type", (kind,))


_FORMATS = {
    "date-time": "google.protobuf.Timestamp",
    "date": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "byte": "bytes",
}
_SCALARS = {"integer": "int", "number": "double", "boolean": "bool"}
_RESERVED = RESERVED | {"true", "false", "null"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_ANY_TEXT = Kind("string", most=(3 << 20) - 2, least=2)
_META = Kind("object", (), {"name": _ANY_TEXT, "generateName": _ANY_TEXT})


def escaped(name: str) -> str | None:
    """A field's name as expressions say it; ``None`` for one that they cannot say.

    Examples:
        >>> escaped("b-c"), escaped("in"), escaped("x__y"), escaped("9")
        ('b__dash__c', '__in__', 'x__underscores__y', None)
    """
    if not _NAME.fullmatch(name):
        return None
    if name in _RESERVED:
        return f"__{name}__"
    for char, word in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(char, word)
    return name


REQUEST = 3 << 20
"""Bytes of the largest request: nothing in one is longer."""
_LONGEST_TEXT = REQUEST - 2
_LONG = {"date-time": 32, "date": 12, "duration": 32}
_SHORT = {"date-time": 21, "date": 12, "duration": 3}
_LEAST = {"integer": 1, "number": 1, "boolean": 4}


def type_of(schema: Mapping[str, Any], *, root: bool = False) -> Kind:
    """The type of the values of a schema, with how long it lets them be.

    Args:
        schema: Structural.
        root: Whether it is that of an object itself, or of one that is embedded.
    """
    if schema.get("x-kubernetes-int-or-string"):
        return Kind("dyn", most=_longest(schema), least=1)
    kind = str(schema.get("type") or "")
    if kind == "array":
        item = type_of(schema.get("items") or {})
        return Kind("list", (item,), most=_bound(schema, "maxItems", _LONGEST_TEXT // (item.least + 1)), least=2)
    if kind == "object":
        return _object(schema, root=root)
    if kind == "string":
        form = str(schema.get("format"))
        return Kind(_FORMATS.get(form, "string"), most=_longest(schema), least=_SHORT.get(form, 2))
    return Kind(_SCALARS[kind], least=_LEAST[kind]) if kind in _SCALARS else DYN


def _bound(schema: Mapping[str, Any], key: str, otherwise: int) -> int:
    given = schema.get(key)
    return otherwise if given is None else max(0, int(given))


def _longest(schema: Mapping[str, Any]) -> int:
    """Of a text; ``maxLength`` counts characters, of which each may take four bytes."""
    form = str(schema.get("format"))
    if form in _LONG and not schema.get("x-kubernetes-int-or-string"):
        return _LONG[form]
    if schema.get("maxLength") is not None:
        return _bound(schema, "maxLength", 0) * (1 if form == "byte" else 4)
    texts = [len(each.encode()) for each in schema.get("enum") or () if isinstance(each, str)]
    return max(texts) if texts and form != "byte" else _LONGEST_TEXT


def _object(schema: Mapping[str, Any], *, root: bool) -> Kind:
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        value = type_of(extra)
        most = _bound(schema, "maxProperties", _LONGEST_TEXT // (value.least + 6))
        return Kind("map", (Kind("string", least=2), value), most=most, least=2)
    needed: set[str] = set(schema.get("required") or ())
    properties: Mapping[str, Any] = schema.get("properties") or {}
    asked = [(key, each) for key, each in properties.items() if key in needed and each.get("default") is None]
    least = 2 + sum(len(key) + type_of(each).least + 4 for key, each in asked)
    fields = _fields(schema, root=root or bool(schema.get("x-kubernetes-embedded-resource")))
    return Kind("object", (), fields, least=least)


def _fields(schema: Mapping[str, Any], *, root: bool) -> dict[str, Kind]:
    found = {name: type_of(each) for key, each in (schema.get("properties") or {}).items() if (name := escaped(key)) is not None}
    return found | {"apiVersion": _ANY_TEXT, "kind": _ANY_TEXT, "metadata": _META} if root else found
