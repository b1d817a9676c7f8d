"""OpenAPI v3 schemas of Kubernetes' own kinds: every field by name and type, so that one which is misspelt is noticed.

The names and types are a table, ``core_fields.txt``, which ``scripts/core-fields`` writes from Kubernetes' own types (how to read
it stands there); a schema is made of it when it is first looked at. What else the table knows is in the schema as Kubernetes'
OpenAPI has it: how lists and maps are merged by server-side apply (``x-kubernetes-list-type``, ``-list-map-keys``, ``-map-type``)
and by strategic merge patches (``-patch-strategy``, ``-patch-merge-key``). What breaks a rule of a field's content is refused by
`Kind.validate`, whose messages name the field and what to do.

What a type and its fields are, for people, stands in ``field_texts.txt``, which only OpenAPI documents are made with.

A kind that is built in gets ``schema=CoreSchema("Deployment")`` and nothing else: no merge keys, no list of its fields. A name
that two groups have is the first one's alone; the other says its group: ``CoreSchema("events.Event")``. A kind that the
table does not have is a line in ``ROOTS`` of the script.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]

_TABLE = Path(__file__).with_name("core_fields.txt")
_EVERY = frozenset({"apiVersion", "kind", "metadata"})
_OPEN = "x-kubernetes-preserve-unknown-fields"
QUANTITY = "quantity"
"""The format of fields that Kubernetes writes in a form of its own."""
FITS = "x-kedge-fits"
"""The table's word of a value that is not right by its JSON type alone: `kedge.kube.fitting` looks at it."""
_SCALARS: Mapping[str, Schema] = {
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32", FITS: "int32"},
    "int64": {"type": "integer", "format": "int64", FITS: "int64"},
    "number": {"type": "number"},
    "byte": {"type": "string", "format": "byte", FITS: "byte"},
    "time": {"type": "string", "format": "date-time", FITS: "time"},
    "microtime": {"type": "string", "format": "date-time", FITS: "microtime"},
    "duration": {"type": "string"},
    "quantity": {"x-kubernetes-int-or-string": True, "format": QUANTITY, FITS: "quantity"},
    "intorstr": {"x-kubernetes-int-or-string": True, FITS: "intorstr"},
    "any": {"type": "object", _OPEN: True},
    "fields": {"type": "object", _OPEN: True},
    "json": {_OPEN: True},
    "schemaorbool": {_OPEN: True},
    "schemaorarray": {_OPEN: True},
    "schemaorstrings": {_OPEN: True},
}
TYPE = "x-kedge-type"
"""The table's name of an object's type."""
# What a field holds that Go's types always write, also where nothing was said of it.
ZERO = "x-kedge-zero"
_ZEROS: Mapping[str, Any] = {
    "str": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "number": 0,
    "byte": None,
    "time": None,
    "microtime": None,
    "quantity": "0",
    "intorstr": 0,
    "any": None,
    "fields": None,
    "json": None,
}
# Go's types leave a field of these out where it says nothing: an empty text, list or map, false, 0.
OMITTED = "x-kedge-omitted"
_OMITTED = frozenset({"str", "bool", "int32", "int64", "number", "byte"})
# Of these an empty one says something else than none, be it in the words of its refusal.
_TOLD_EMPTY = frozenset({"ObjectMeta.managedFields", "HPAScalingRules.policies", "PersistentVolumeSpec.capacity"})
# It holds itself: what stands deeper is checked by who reads it.
_RECURSIVE = "JSONSchemaProps"
# What has no default and no meaning when it is left out. Names of Pods' parts are asked for by the rules, with better words.
_REQUIRED: Mapping[str, list[str]] = {
    "PodSpec": ["containers"],
    "Container": ["name"],
    "Volume": ["name"],
    "EnvVar": ["name"],
    "VolumeMount": ["name", "mountPath"],
    "ContainerPort": ["containerPort"],
    "OwnerReference": ["apiVersion", "kind", "name", "uid"],
}


class CoreSchema(Mapping[str, Any]):
    """The schema of one core kind, made when it is first looked at: most processes that know the kinds check nothing.

    Args:
        kind: Name of the kind.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __getitem__(self, key: str) -> Any:
        return _whole(self._kind)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_whole(self._kind))

    def __len__(self) -> int:
        return len(_whole(self._kind))

    def get(self, key: str, default: Any = None) -> Any:
        """As `dict.get`; a missing key is common, and an exception dear."""
        return _whole(self._kind).get(key, default)


METADATA = CoreSchema("ObjectMeta")  # of every object


@dataclass(frozen=True, slots=True)
class Word:
    """One field of a type, as the table has it.

    Attributes:
        name: As in JSON; ``""`` where the fields of another type stand here themselves.
        type: A scalar's word or a type's name, behind ``[]`` for a list and ``{}`` for a map of texts to it.
        number: In protobuf.
        marks: Such as ``l:containerPort,protocol``; the script explains them.
    """

    name: str
    type: str
    number: int
    marks: tuple[str, ...]

    def mark(self, letter: str) -> str | None:
        """What a mark says; ``None`` where the field does not have it."""
        return next((each[2:] for each in self.marks if each[0] == letter), None)


@cache
def kinds() -> Mapping[tuple[str, str], str]:
    """The type of each kind that the table knows, by apiVersion and kind.

    Examples:
        >>> kinds()["apps/v1", "Deployment"], kinds()["events.k8s.io/v1", "Event"]
        ('Deployment', 'events.Event')
    """
    found: dict[tuple[str, str], str] = {}
    for name, (marks, _) in _lines().items():
        for mark in marks:
            if mark.startswith("k:"):
                found[mark[2:], name.rpartition(".")[2]] = name
    return found


@cache
def words(name: str) -> tuple[Word, ...]:
    """The fields of a type.

    Args:
        name: As the table has it, such as ``PodSpec``.
    """
    return tuple(_word(text) for text in _lines()[name][1].split())


def _word(text: str) -> Word:
    what, number, *marks = text.split(";")
    if what.startswith("+"):
        return Word("", what[1:], int(number), tuple(marks))
    name, _, kind = what.partition("=")
    return Word(name, kind or "str", int(number), tuple(marks))


def of_type(name: str) -> Schema:
    """The schema of a type, whole.

    Args:
        name: As the table has it, such as ``PodSpec``.
    """
    return _object(name)


def package(name: str) -> str:
    """The Go package of a type, such as ``v1``.

    Args:
        name: As the table has it.
    """
    return next((mark[2:] for mark in _lines()[name][0] if mark.startswith("v:")), "v1")


def is_type(name: str) -> bool:
    """Whether the table has a line of this name, and not only a word for a scalar."""
    return name in _lines()


@cache
def _lines() -> Mapping[str, tuple[list[str], str]]:
    """What the table says of each type, by its name: its marks and its fields."""
    text = _TABLE.read_text(encoding="ascii")
    found: dict[str, tuple[list[str], str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            head, _, fields = line.partition(" ")
            name, *marks = head.split(";")
            found[name] = (marks, fields)
    return found


@cache
def _whole(name: str) -> dict[str, Any]:
    """The schema of a kind, without what every kind has: the server checks it apart."""
    made = _object(name)
    return {**made, "properties": {key: value for key, value in made["properties"].items() if key not in _EVERY}}


@cache
def _object(name: str) -> dict[str, Any]:
    """The schema of a type; equal parts are one object in memory."""
    marks, _ = _lines()[name]
    made: dict[str, Any] = {"type": "object", "properties": dict(_properties(name)), TYPE: name}
    if "t" in marks:
        made["properties"] |= {"apiVersion": _SCALARS["str"], "kind": _SCALARS["str"]}
    if "a" in marks:
        made["x-kubernetes-map-type"] = "atomic"
    if name in _REQUIRED:
        made["required"] = _REQUIRED[name]
    return made


def _properties(name: str) -> Iterator[tuple[str, Schema]]:
    for word in words(name):
        if not word.name:
            yield from _properties(word.type)
            continue
        if name == _RECURSIVE and word.type.endswith(_RECURSIVE):
            schema: Schema = _holding(word.type, _SCALARS["json"])
        else:
            schema = _schema(word.type)
        more = dict(_marks(word))
        if _is_omitted(word) and f"{name}.{word.name}" not in _TOLD_EMPTY:
            more[OMITTED] = True
        yield word.name, {**schema, **more} if more else schema


def _is_omitted(word: Word) -> bool:
    if word.mark("o") is not None or word.mark("z") is not None:
        return False
    return word.type in _OMITTED or word.type.startswith(("[]", "{}"))


def _holding(kind: str, inner: Schema) -> Schema:
    if kind.startswith("[]"):
        return {"type": "array", "items": inner}
    return {"type": "object", "additionalProperties": inner} if kind.startswith("{}") else inner


def _marks(word: Word) -> Iterator[tuple[str, Any]]:
    """The marks of a field as OpenAPI has them."""
    keys, merge = word.mark("l"), word.mark("p")
    if keys is not None:
        yield "x-kubernetes-list-type", "map"
        yield "x-kubernetes-list-map-keys", keys.split(",")
    elif word.mark("s") is not None:
        yield "x-kubernetes-list-type", "set"
    elif word.type.startswith("[]"):
        yield "x-kubernetes-list-type", "atomic"
    if word.mark("a") is not None:
        yield "x-kubernetes-map-type", "atomic"
    elif word.mark("g") is not None:
        yield "x-kubernetes-map-type", "granular"
    if merge is not None:
        yield "x-kubernetes-patch-strategy", "merge"
        if merge:
            yield "x-kubernetes-patch-merge-key", merge
    if (default := word.mark("d")) is not None:
        yield "default", default
    if word.mark("z") is not None:
        yield ZERO, None if word.type.startswith(("[]", "{}")) else _ZEROS.get(word.type, {})


@cache
def _schema(kind: str) -> Schema:
    """The schema of what a field holds, in the table's words."""
    if kind.startswith(("[]", "{}")):
        return _holding(kind, _schema(kind[2:]))
    return _SCALARS.get(kind) or _object(kind)
