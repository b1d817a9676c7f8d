"""Reads ``application/vnd.kubernetes.protobuf`` bodies of Kubernetes' own kinds.

``kubectl create`` and programs built with client-go send it, and some do not fall back to JSON. Numbers and types of the fields
are those of the table of fields (`kube.schemas`); a field that is not in the table is refused by number rather than dropped.
Answers are always JSON, which every client reads.
"""

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from kedge.errors import BadRequest, UnsupportedMediaType
from kedge.kube.clock import micro_timestamp, timestamp
from kedge.kube.kinds import Obj
from kedge.kube.schemas import Word, is_type, kinds, words

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field of a message is read."""

    name: str
    read: Callable[[Any], Any]
    shape: str  # one, list, map or inline
    kept: bool  # also where it is zero: it was set on purpose


def _text(raw: bytes) -> str:
    return raw.decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _int(raw: int) -> int:
    if raw.__class__ is not int:
        raise TypeError(raw)
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _number(raw: bytes) -> float:
    (value,) = struct.unpack("<d", raw)
    return int(value) if value == int(value) else value


def _moment(raw: bytes) -> datetime | None:
    numbers = {number: _int(value) for number, value in _fields(raw)}
    if not numbers.get(1):
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=numbers[1], microseconds=numbers.get(2, 0) // 1000)


def _time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return moment and timestamp(moment)


def _micro_time(raw: bytes) -> str | None:
    moment = _moment(raw)
    return moment and micro_timestamp(moment)


def _duration(raw: bytes) -> str:
    return f"{_int(dict(_fields(raw)).get(1, 0)) / 1e9:g}s"


def _int_or_text(raw: bytes) -> int | str:
    values = dict(_fields(raw))
    return _text(values.get(3, b"")) if values.get(1) else _int(values.get(2, 0))


def _quantity(raw: bytes) -> str:
    return _text(dict(_fields(raw)).get(1, b"")) or "0"


def _json(raw: bytes) -> Any:
    held = dict(_fields(raw)).get(1, b"")
    return json.loads(held) if held else None


def _schema_or_bool(raw: bytes) -> Any:
    values = dict(_fields(raw))
    return _decode(values[2], "JSONSchemaProps") if 2 in values else bool(values.get(1))


def _schema_or_array(raw: bytes) -> Any:
    found = list(_fields(raw))
    one = [value for number, value in found if number == 1]
    return _decode(one[-1], "JSONSchemaProps") if one else [_decode(value, "JSONSchemaProps") for _, value in found]


def _schema_or_texts(raw: bytes) -> Any:
    found = list(_fields(raw))
    one = [value for number, value in found if number == 1]
    return _decode(one[-1], "JSONSchemaProps") if one else [_text(value) for _, value in found]


_READ: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "bool": bool,
    "int32": _int,
    "int64": _int,
    "number": _number,
    "byte": _base64,
    "time": _time,
    "microtime": _micro_time,
    "duration": _duration,
    "quantity": _quantity,
    "intorstr": _int_or_text,
    "any": _json,
    "fields": _json,
    "json": _json,
    "schemaorbool": _schema_or_bool,
    "schemaorarray": _schema_or_array,
    "schemaorstrings": _schema_or_texts,
}
# What a client cannot set, and what is written in it by older ones may not be readable any more.
_LEFT_OUT = frozenset({("ObjectMeta", "managedFields")})
_NOT_FOUND = "cannot be read as protobuf here"


def _reader(kind: str) -> Callable[[Any], Any]:
    """How a value is read, in the table's words."""
    if kind.startswith("[]"):  # a list in a map is a message that holds it
        inner = _reader(kind[2:])
        return lambda raw: [inner(value) for _, value in _fields(raw)]
    return (lambda raw: _decode(raw, kind)) if is_type(kind) else _READ[kind]


@cache
def _message(name: str) -> Mapping[int, _Field]:
    """The fields of a type by their numbers."""
    return {word.number: _field(name, word) for word in words(name)}


def _field(owner: str, word: Word) -> _Field:
    if (owner, word.name) in _LEFT_OUT:
        return _Field(word.name, lambda _raw: None, "one", kept=False)
    shape = "inline" if not word.name else {"[]": "list", "{}": "map"}.get(word.type[:2], "one")
    return _Field(
        word.name, _reader(word.type[2:] if shape in {"list", "map"} else word.type), shape, kept=word.mark("o") is not None
    )


def decode(body: bytes) -> Obj:
    """Read a body.

    Raises:
        BadRequest: The bytes are not Kubernetes' protobuf, or have a field that is not known here.
        UnsupportedMediaType: The kind is one that is read only as JSON; the message says so.
    """
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not Kubernetes protobuf: it does not begin with 'k8s\\0'. Send application/json.")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))  # typeMeta, raw, contentEncoding, contentType
        meta = dict(_fields(envelope.get(1, b"")))
        api_version, kind = _text(meta.get(1, b"")), _text(meta.get(2, b""))
        # Every group has its own name for it, and all are one type.
        name = "DeleteOptions" if kind == "DeleteOptions" else kinds().get((api_version, kind))
        if name is None:
            raise UnsupportedMediaType(
                f"{kind or 'objects without a kind'} of {api_version or 'no version'} {_NOT_FOUND}. Send application/json."
            )
        return {"apiVersion": api_version, "kind": kind, **_decode(envelope.get(2, b""), name)}
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise BadRequest("the protobuf body is damaged: it ends too early, or has a value of the wrong type.") from error


def _decode(raw: bytes, name: str) -> Obj:
    out: Obj = {}
    message = _message(name)
    for number, wire in _fields(raw):
        field = message.get(number)
        if field is None:
            raise BadRequest(
                f"the protobuf body has field number {number} in {name}, which is not known here beside "
                f"{', '.join(each.name or 'others' for each in message.values())}. Send JSON."
            )
        if field.shape == "map":
            entry = dict(_fields(wire))
            # A value that is zero is left out of its entry, and with it how it is written.
            zero: Any = entry.get(2, 0 if field.read in {bool, _int} else b"")
            out.setdefault(field.name, {})[_text(entry.get(1, b""))] = field.read(zero)
            continue
        value = field.read(wire)
        if field.shape == "inline":
            out |= value
        elif field.shape == "list":
            out.setdefault(field.name, []).append(value)
        elif value or (field.kept and value is not None):
            out[field.name] = value
    return out


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(raw, at)
        elif wire in {_FIXED64, _FIXED32}:
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(wire)
        if at + size > len(raw):
            raise ValueError(size)
        yield number, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
        if shift > 63:
            raise ValueError(shift)
