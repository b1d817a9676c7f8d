"""What Kubernetes says of an object whose JSON does not fit its Go types: one sentence, of the first value that does not.

Go's own reader tells of the first in the order of the text, and by the innermost struct that has the field. Types that read
themselves, as times and quantities do, end the reading: theirs is told before all others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from kedge.kube import fitting
from kedge.kube.go_values import json_type
from kedge.kube.schemas import Word, is_type, package, words

_SPELLED = {
    "str": "string",
    "number": "float64",
    "byte": "[]uint8",
    "time": "v1.Time",
    "microtime": "v1.MicroTime",
    "quantity": "resource.Quantity",
    "intorstr": "intstr.IntOrString",
    "any": "runtime.RawExtension",
    "json": "v1.JSON",
}
_READ_THEMSELVES: Mapping[str, str] = {
    "time": "string",
    "microtime": "string",
    "quantity": "",
    "intorstr": "int32",
    "schemaorbool": "",
}
"""The words of types with a reader of their own, and the type that it reads the JSON as."""
_SCHEMA = "JSONSchemaProps"
_OF_SCHEMAS: Mapping[str, Mapping[type, str]] = {
    "schemaorbool": {dict: _SCHEMA},
    "schemaorarray": {dict: _SCHEMA, list: f"[]{_SCHEMA}"},
    "schemaorstrings": {dict: _SCHEMA, list: "[]str"},
}
"""What a field of a schema is that may be one of two things, by its JSON type."""
_NUMBERS, _NUMERIC = frozenset({"int32", "int64", "number"}), frozenset({"int64", "float64"})
_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "number": (int, float)}
_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}


class _Place(NamedTuple):
    """Where a value stands: the struct that has the field, and the names of the fields that lead there."""

    struct: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unfit:
    """A value that does not fit.

    Attributes:
        value: What it is.
        word: The type that it should have, in the words of the table of fields.
        type: The same as Go writes it.
        place: Where it stands.
    """

    value: Any
    word: str
    type: str
    place: _Place

    @property
    def is_last(self) -> bool:
        """Whether nothing after it is read."""
        return self.word in _READ_THEMSELVES

    @property
    def decoded(self) -> str:
        """What is said of it where JSON was read."""
        where = f"struct field {self.place.struct}.{'.'.join(self.place.path)}" if self.place.path else "value"
        return fitting.why(self.word, self.value) or self._unmarshaled(where)

    @property
    def converted(self) -> str:
        """What is said of it where an object was made of another that had been read already."""
        kind, told = _KINDS[type(self.value)], fitting.why(self.word, self.value)
        if self.is_last:
            return told or self._unmarshaled("value")
        if told:
            return f"error decoding from json: {told}"
        if is_type(self.word):
            return f"cannot restore struct from: {kind}"
        if self.word == "byte" or self.word.startswith(("[]", "{}")):
            return f"cannot restore {'map' if self.word.startswith('{}') else 'slice'} from {kind}"
        is_near = kind in _NUMERIC if self.word in _NUMBERS else (kind, self.word) == ("int64", "str")
        return f"cannot convert {kind} to {self.type}" if is_near else f"unrecognized type: {_SPELLED.get(self.word, self.word)}"

    def _unmarshaled(self, where: str) -> str:
        return f"json: cannot unmarshal {_called(self.value, self.type)} into Go {where} of type {self.type}"


def _called(value: Any, type_: str) -> str:
    number = f" {value!r}" if type_ in {"int32", "int64"} and json_type(value) == "number" else ""
    return json_type(value) + number


def first(name: str, value: Any) -> Unfit | None:
    """The value of which is told that it does not fit.

    Args:
        name: Of the object's type in the table of fields.
        value: The object as it was read, in the order of its text.
    """
    found: Unfit | None = None
    for unfit in _unfit(name, _spelled(name), value, _Place(name, ())):
        if unfit.is_last:
            return unfit
        found = found or unfit
    return found


def _unfit(word: str, type_: str, value: Any, place: _Place) -> Iterator[Unfit]:
    if value is None:
        return
    if word.startswith(("[]", "{}")):
        yield from _many_unfit(word, type_, value, place)
    elif is_type(word):
        if isinstance(value, dict):
            yield from _fields_unfit(word, value, place)
        else:
            yield Unfit(value, word, type_, place)
    elif (found := _OF_SCHEMAS.get(word, {}).get(type(value))) is not None:
        yield from _unfit(found, _spelled(found), value, place)
    elif word in fitting.FITS:
        if not fitting.FITS[word](value):
            yield Unfit(value, word, _READ_THEMSELVES.get(word, type_), place)
    elif (types := _TYPES.get(word)) and (not isinstance(value, types) or (isinstance(value, bool) and word != "bool")):
        yield Unfit(value, word, type_, place)


def _many_unfit(word: str, type_: str, value: Any, place: _Place) -> Iterator[Unfit]:
    if not isinstance(value, list if word[0] == "[" else dict):
        yield Unfit(value, word, type_, place)
        return
    inner = _inner(word, type_)
    for item in value.values() if isinstance(value, dict) else value:
        yield from _unfit(word[2:], inner, item, place)


def _fields_unfit(name: str, value: dict[str, Any], place: _Place) -> Iterator[Unfit]:
    fields, struct = _fields(name), name.rpartition(".")[2]
    for key, item in value.items():
        if (found := fields.get(key)) is not None:
            field, path = found
            yield from _unfit(field.type, field.mark("n") or _spelled(field.type), item, _Place(struct, (*place.path, *path)))


@cache
def _fields(name: str) -> Mapping[str, tuple[Word, tuple[str, ...]]]:
    """The fields of a type by name, each with the names that lead to it: first those of the types whose fields stand here."""
    found: dict[str, tuple[Word, tuple[str, ...]]] = {}
    for word in words(name):
        if word.name:
            found[word.name] = word, (word.name,)
        else:
            found |= {key: (inner, (word.type, *path)) for key, (inner, path) in _fields(word.type).items()}
    return found


def _spelled(word: str) -> str:
    """How Go writes a type that has no name of its own."""
    if word.startswith("[]"):
        return f"[]{_spelled(word[2:])}"
    if word.startswith("{}"):
        return f"map[string]{_spelled(word[2:])}"
    return f"{package(word)}.{word.rpartition('.')[2]}" if is_type(word) else _SPELLED.get(word, word)


def _inner(word: str, type_: str) -> str:
    """How Go writes the type of what a list or a map holds; one that has a name says nothing of it."""
    if type_.startswith("[]"):
        return type_[2:].removeprefix("*")
    return type_.partition("]")[2].removeprefix("*") if type_.startswith("map[") else _spelled(word[2:])
